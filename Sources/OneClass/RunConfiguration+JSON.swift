import Foundation
import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// The three things that a configuration chooses by name: their JSON keys, and where their values are.
/// Everything that treats them alike goes through this.
package struct ChosenComponent: Sendable {
    /// The setting's name: encoder, method or detector.
    package let name: String
    /// What it is, a sentence.
    package let help: String
    /// Every choice there is.
    package let choices: @Sendable () -> [any Configurable]
    /// The choice of a configuration.
    package let read: @Sendable (RunConfiguration) -> any Configurable
    /// Chooses by name.
    package let choose: @Sendable (inout RunConfiguration, String) throws(SettingError) -> Void
    /// Sets one of its settings by JSON key, or by name and text; false where it has none of that name.
    package let setKey: @Sendable (inout RunConfiguration, String, JSONValue) throws(SettingError) -> Bool
    package let setText: @Sendable (inout RunConfiguration, String, String) throws(SettingError) -> Bool

    package static let all: [ChosenComponent] = [
        ChosenComponent(
            name: "encoder", help: "The network that learns.",
            choices: { Encoders.registry.entries }, read: { $0.encoder },
            choose: { (c, name) throws(SettingError) in c.encoder = try Encoders.registry.entry(name) },
            setKey: { (c, key, value) throws(SettingError) in try c.encoder.set(key: key, to: value) },
            setText: { (c, name, text) throws(SettingError) in try c.encoder.set(name: name, text: text) }),
        ChosenComponent(
            name: "method", help: "The task that it learns by.",
            choices: { Methods.registry.entries }, read: { $0.method },
            choose: { (c, name) throws(SettingError) in c.replaceMethod(by: try Methods.registry.entry(name))
            },
            setKey: { (c, key, value) throws(SettingError) in try c.method.set(key: key, to: value) },
            setText: { (c, name, text) throws(SettingError) in try c.method.set(name: name, text: text) }),
        ChosenComponent(
            name: "detector", help: "What scores the features.",
            choices: { Detectors.all }, read: { $0.detector },
            choose: { (c, name) throws(SettingError) in c.detector = try Detectors.entry(name) },
            setKey: { (c, key, value) throws(SettingError) in try c.detector.set(key: key, to: value) },
            setText: { (c, name, text) throws(SettingError) in try c.detector.set(name: name, text: text) }),
    ]

    /// The choice that has a setting of this name, where the chosen one has not.
    package func owner(ofSetting name: String) -> (any Configurable)? {
        choices().first { $0.settingDescriptions.contains { $0.name == name } }
    }
}

extension RunConfiguration: Codable, Equatable {
    /// Every setting by its JSON key: the run's own, the chosen names, and the settings of what is chosen.
    private var values: [String: JSONValue] {
        var result = settingValues
        for component in ChosenComponent.all {
            let chosen = component.read(self)
            result[component.name] = .string(chosen.name)
            result.merge(chosen.settingValues) { $1 }
        }
        return result
    }

    /// Checks that no two settings have one name: the command line and config.json have one place for it.
    ///
    /// - Throws: `OCCError(.usage)` naming the setting and both that have it.
    func checkNames() throws {
        var owners: [String: String] = [:]
        for name in Self.settings.map(\.name) + ChosenComponent.all.map(\.name) { owners[name] = "a run" }
        for component in ChosenComponent.all {
            let chosen = component.read(self)
            for setting in chosen.settingDescriptions {
                if let other = owners.updateValue(chosen.name, forKey: setting.name) {
                    throw OCCError(
                        .usage, "'\(setting.name)' is a setting of \(other) and of \(chosen.name)",
                        remedy: "Give the setting of \(chosen.name) another name.")
                }
            }
        }
    }

    /// Writes a JSON object of every setting.
    public func encode(to encoder: any Swift.Encoder) throws {
        try JSONValue.object(values).encode(to: encoder)
    }

    /// Reads a configuration: keys that are absent keep their defaults, keys that do not exist are errors.
    public init(from decoder: any Swift.Decoder) throws {
        guard case .object(let values) = try JSONValue(from: decoder) else {
            throw OCCError(.badData, "the configuration is not a JSON object")
        }
        do {
            try self.init(values: values)
        } catch let error {
            throw error.error(.badData)
        }
    }

    private init(values: [String: JSONValue]) throws(SettingError) {
        self.init()
        var rest = values
        for component in ChosenComponent.all {
            guard let value = rest.removeValue(forKey: component.name) else { continue }
            guard case .string(let name) = value else { throw SettingError(component.name, "is not text") }
            try component.choose(&self, name)
        }
        for (key, value) in rest.sorted(by: { $0.key < $1.key }) {
            var known = try set(key: key, to: value)
            for component in ChosenComponent.all where !known {
                known = try component.setKey(&self, key, value)
            }
            guard !known else { continue }
            for component in ChosenComponent.all {
                guard
                    let owner = component.choices().first(where: { $0.settingValues[key] != nil })
                else { continue }
                throw SettingError(
                    key,
                    "is a setting of \(owner.name), and the \(component.name) is \(component.read(self).name)"
                )
            }
            let nearest = nearestMatch(to: key, in: Array(self.values.keys))
            throw SettingError(key, "there is no such key\(nearest.map { "; did you mean '\($0)'?" } ?? "")")
        }
    }

    /// Whether all settings have the same values.
    public static func == (a: RunConfiguration, b: RunConfiguration) -> Bool { a.values == b.values }

    /// Encodes the configuration as JSON with sorted keys: equal ones give equal bytes.
    public func json(pretty: Bool = false) throws -> String {
        try JSONValue.object(values).text(pretty: pretty)
    }

    /// Reads a configuration: keys that are absent keep their defaults, keys that do not exist are errors.
    ///
    /// - Parameter name: what errors call the file.
    /// - Throws: `OCCError(.badData)` naming the file and the key.
    public init(json bytes: [UInt8], name: String) throws {
        func fail(_ why: String) -> OCCError {
            OCCError(.badData, "\(name): \(why)", remedy: "See config.json of a finished run for every key.")
        }
        // A byte order mark, as some editors write it, is no part of the text.
        let text = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
        guard case .object(let values) = try? JSONDecoder().decode(JSONValue.self, from: Data(text)) else {
            throw fail("is not a JSON object")
        }
        do {
            try self.init(values: values)
        } catch let error {
            let choices = error.choices.isEmpty ? "" : "; there is: \(error.choices.joined(separator: ", "))"
            throw fail("key '\(settingKey(error.setting))': \(error.reason)\(choices)")
        }
    }

    /// The values of all settings by their JSON keys, those of what is chosen too, as a file has them: a
    /// number that is whole is an integer.
    var settings: [String: JSONValue] {
        get throws {
            let text = try json()
            return try JSONDecoder().decode([String: JSONValue].self, from: Data(text.utf8))
        }
    }

    /// Lists the keys in which this configuration differs from another, sorted.
    public func differences(from other: RunConfiguration) -> [String] {
        let mine = values, theirs = other.values
        return Set(mine.keys).union(theirs.keys).filter { mine[$0] != theirs[$0] }.sorted()
    }
}

extension JSONEncoder {
    /// Equal values give equal bytes.
    static var sorted: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return encoder
    }
}
