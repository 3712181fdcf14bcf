/// A value that a setting can hold: it has a JSON form and a form on the command line.
public protocol SettingValue: Sendable {
    /// The value in JSON.
    var json: JSONValue { get }
    /// The value that JSON holds; nil where that is of another type.
    init?(json: JSONValue)
    /// The value that a person wrote; nil where it is not understood.
    init?(text: String)
    /// What errors call a value of this type, such as "a number".
    static var typeName: String { get }
}

/// A value that has a range: a number, or several.
public protocol SettingNumber: SettingValue {
    /// The numbers that the range is about, rounded to double precision.
    var magnitudes: [Double] { get }
}

/// A value without a range.
public protocol SettingText: SettingValue {}

extension Double: SettingNumber {
    /// A JSON number.
    public var json: JSONValue { .number(self) }
    /// The value of any JSON number; nil for another type.
    public init?(json: JSONValue) {
        switch json {
        case .integer(let value): self = Double(value)
        case .unsigned(let value): self = Double(value)
        case .number(let value): self = value
        default: return nil
        }
    }
    /// The value of text such as `0.1` or `1e-3`; nil where that is no number.
    public init?(text: String) { self.init(text) }
    /// The type in words, for messages.
    public static var typeName: String { "a number" }
    /// The number itself.
    public var magnitudes: [Double] { [self] }
}

extension Int: SettingNumber {
    /// A JSON number without a fraction.
    public var json: JSONValue { .integer(Int64(self)) }
    /// The value of a whole JSON number within Int's range; nil for anything else.
    public init?(json: JSONValue) {
        guard case .integer(let value) = json else { return nil }
        self.init(exactly: value)
    }
    /// The value of decimal digits with an optional sign; nil for other text.
    public init?(text: String) { self.init(text) }
    /// The type in words, for messages.
    public static var typeName: String { "a whole number" }
    /// The number, rounded to double precision.
    public var magnitudes: [Double] { [Double(self)] }
}

extension UInt64: SettingNumber {
    /// A JSON number without a fraction, exact over all of UInt64.
    public var json: JSONValue { Int64(exactly: self).map(JSONValue.integer) ?? .unsigned(self) }
    /// The value of a whole JSON number from 0 on; nil for anything else.
    public init?(json: JSONValue) {
        switch json {
        case .integer(let value): self.init(exactly: value)
        case .unsigned(let value): self = value
        default: return nil
        }
    }
    /// The value of decimal digits; nil for other text.
    public init?(text: String) { self.init(text) }
    /// The type in words, for messages.
    public static var typeName: String { "a whole number" }
    /// The number, rounded to double precision.
    public var magnitudes: [Double] { [Double(self)] }
}

extension String: SettingText {
    /// A JSON string.
    public var json: JSONValue { .string(self) }
    /// The value of a JSON string; nil for another type.
    public init?(json: JSONValue) {
        guard case .string(let value) = json else { return nil }
        self = value
    }
    /// The text as it is.
    public init?(text: String) { self = text }
    /// The type in words, for messages.
    public static var typeName: String { "text" }
}

extension Bool: SettingValue {
    /// JSON's `true` or `false`.
    public var json: JSONValue { .bool(self) }
    /// The value of JSON's `true` or `false`; nil for another type.
    public init?(json: JSONValue) {
        guard case .bool(let value) = json else { return nil }
        self = value
    }
    /// The value of `true` or `false`; nil for other text.
    public init?(text: String) { self.init(text) }
    /// The type in words, for messages.
    public static var typeName: String { "true or false" }
}

/// Widths of layers: `512x8,128` is eight times 512 and 128; `none` is none. There are 64 at most.
extension [Int]: SettingValue, SettingNumber {
    private static var limit: Int { 64 }

    /// A JSON array of whole numbers.
    public var json: JSONValue { .array(map(\.json)) }
    /// The values of a JSON array of at most 64 whole numbers; nil for anything else.
    public init?(json: JSONValue) {
        guard case .array(let values) = json, values.count <= Self.limit else { return nil }
        let numbers = values.compactMap(Int.init(json:))
        guard numbers.count == values.count else { return nil }
        self = numbers
    }
    /// The values of text such as `512x8,128`, at most 64; nil for other text.
    public init?(text: String) {
        self = []
        guard text != "none" else { return }
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let factors = part.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
            guard (1...2).contains(factors.count), let width = factors[0],
                let repeats = factors.count == 2 ? factors[1] : 1,
                repeats >= 1, repeats <= Self.limit - count
            else { return nil }
            self += [Int](repeating: width, count: repeats)
        }
    }
    /// The widths as text: equal ones that follow each other by their number.
    public var widthsText: String {
        guard !isEmpty else { return "none" }
        let runs = reduce(into: [(width: Int, count: Int)]()) { runs, width in
            if runs.last?.width == width { runs[runs.count - 1].count += 1 } else { runs.append((width, 1)) }
        }
        return runs.map { $0.count == 1 ? "\($0.width)" : "\($0.width)x\($0.count)" }.joined(separator: ",")
    }
    /// The type in words, for messages.
    public static var typeName: String { "none, or up to 64 widths such as 512x8,128" }
    /// The widths.
    public var magnitudes: [Double] { map(Double.init) }
}

/// What a number may be, from its lower to its upper end: what lies beyond overflows, takes all memory, or is a slip.
/// Values that are not finite are in no range.
public struct SettingRange: Sendable {
    /// What is allowed, in words such as "above 0".
    public let words: String
    private let holds: @Sendable (Double) -> Bool

    /// Whether a value is allowed.
    public func contains(_ value: Double) -> Bool { value.isFinite && holds(value) }

    /// Numbers between two bounds, these included.
    public static func within(_ range: ClosedRange<Double>) -> SettingRange {
        SettingRange(words: "\(short(range.lowerBound)) to \(short(range.upperBound))") { range.contains($0) }
    }
    /// Numbers from a bound to below another.
    public static func within(_ range: Range<Double>) -> SettingRange {
        SettingRange(words: "\(short(range.lowerBound)) to below \(short(range.upperBound))") {
            range.contains($0)
        }
    }
    /// Numbers above a bound, up to another.
    public static func above(_ bound: Double, upTo last: Double) -> SettingRange {
        SettingRange(words: "above \(short(bound)), at most \(short(last))") { $0 > bound && $0 <= last }
    }
    /// Numbers between two bounds, these left out.
    public static func between(_ lower: Double, _ upper: Double) -> SettingRange {
        SettingRange(words: "above \(short(lower)) and below \(short(upper))") { $0 > lower && $0 < upper }
    }
    /// The multiples of a number between two bounds.
    public static func multiple(of unit: Int, in range: ClosedRange<Int>) -> SettingRange {
        SettingRange(words: "a multiple of \(unit), \(range.lowerBound) to \(range.upperBound)") { value in
            Int(exactly: value).map { range.contains($0) && $0 % unit == 0 } ?? false
        }
    }
    /// How many of something there are, from a number on: up to a thousand million.
    public static func count(from least: Int) -> SettingRange {
        SettingRange(words: "\(least) to 1e9") { (Double(least)...1e9).contains($0) }
    }
    /// All whole numbers of 64 bits without a sign.
    public static let anySeed = SettingRange(words: "0 to \(UInt64.max)") { $0 >= 0 && $0 <= 0x1p64 }

    private static func short(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : String(value)
    }
}

/// A setting, declared once: the command line, config.json, the help, the check and the
/// documentation all read this declaration.
///
/// It has one name: `learning-rate` on the command line is `learningRate` in JSON.
public struct Setting<Root>: Sendable {
    /// The name, lower case with hyphens.
    public let name: String
    /// What stands for the value in the help; nil for one that is on or off.
    public let placeholder: String?
    /// What it means, a sentence without its default.
    public let help: String
    /// The names it can have, where there are only a few.
    public let choices: [String]
    /// What it may be, in words; nil where anything of its type is.
    public let range: String?

    let read: @Sendable (Root) -> JSONValue
    let write: @Sendable (inout Root, JSONValue) throws(SettingError) -> Void
    let parse: @Sendable (String) throws(SettingError) -> JSONValue
    let takesAnyText: Bool

    /// The name in JSON.
    public var key: String { settingKey(name) }

    /// A number that always has a value.
    ///
    /// - Parameters:
    ///   - name: lower case with hyphens.
    ///   - range: what the number may be; every one of several.
    public init<Value: SettingNumber>(
        _ name: String, _ path: WritableKeyPath<Root, Value> & Sendable, _ placeholder: String,
        range: SettingRange, _ help: String
    ) {
        self.init(
            name, placeholder, help, range: range.words,
            read: { $0[keyPath: path].json },
            write: { $0[keyPath: path] = $1 }, optional: nil,
            check: { (value, given) throws(SettingError) in try range.check(value, given, name) })
    }

    /// A number that may be left out.
    public init<Value: SettingNumber>(
        _ name: String, _ path: WritableKeyPath<Root, Value?> & Sendable, _ placeholder: String,
        range: SettingRange, _ help: String
    ) {
        self.init(
            name, placeholder, help, range: range.words,
            read: { $0[keyPath: path]?.json ?? .null },
            write: { $0[keyPath: path] = $1 }, optional: { $0[keyPath: path] = nil },
            check: { (value, given) throws(SettingError) in try range.check(value, given, name) })
    }

    /// A text that always has a value.
    public init<Value: SettingText>(
        _ name: String, _ path: WritableKeyPath<Root, Value> & Sendable, _ placeholder: String,
        _ help: String
    ) {
        self.init(
            name, placeholder, help, range: nil,
            read: { $0[keyPath: path].json },
            write: { $0[keyPath: path] = $1 }, optional: nil)
    }

    /// A text that may be left out.
    public init<Value: SettingText>(
        _ name: String, _ path: WritableKeyPath<Root, Value?> & Sendable, _ placeholder: String,
        _ help: String
    ) {
        self.init(
            name, placeholder, help, range: nil,
            read: { $0[keyPath: path]?.json ?? .null },
            write: { $0[keyPath: path] = $1 }, optional: { $0[keyPath: path] = nil })
    }

    /// A setting that is one of a few names.
    public init<Value: RawRepresentable & CaseIterable & Sendable>(
        _ name: String, _ path: WritableKeyPath<Root, Value> & Sendable, _ help: String
    ) where Value.RawValue == String {
        self.init(
            name, help, of: Value.self, isOptional: false, read: { $0[keyPath: path] },
            write: { root, value in if let value { root[keyPath: path] = value } })
    }

    /// A setting that is one of a few names, or left out.
    public init<Value: RawRepresentable & CaseIterable & Sendable>(
        _ name: String, _ path: WritableKeyPath<Root, Value?> & Sendable, _ help: String
    ) where Value.RawValue == String {
        self.init(
            name, help, of: Value.self, isOptional: true, read: { $0[keyPath: path] },
            write: { $0[keyPath: path] = $1 })
    }

    private init<Value: RawRepresentable & CaseIterable & Sendable>(
        _ name: String, _ help: String, of type: Value.Type, isOptional: Bool,
        read get: @escaping @Sendable (Root) -> Value?,
        write set: @escaping @Sendable (inout Root, Value?) -> Void
    ) where Value.RawValue == String {
        let choices = Value.allCases.map(\.rawValue)
        @Sendable func value(_ text: String) throws(SettingError) -> Value {
            guard let value = Value(rawValue: text) else {
                throw SettingError(name, "there is no '\(text)'", choices: choices, given: text)
            }
            return value
        }
        self.name = name
        placeholder = "NAME"
        self.help = help
        self.choices = choices
        range = nil
        read = { get($0).map { .string($0.rawValue) } ?? .null }
        write = { (root, json) throws(SettingError) in
            switch json {
            case .null where isOptional: set(&root, nil)
            case .string(let text): set(&root, try value(text))
            default: throw SettingError(name, "is no text")
            }
        }
        parse = { (text) throws(SettingError) in .string(try value(text).rawValue) }
        takesAnyText = false
    }

    /// A setting that is on or off: a flag on the command line.
    public init(flag name: String, _ path: WritableKeyPath<Root, Bool> & Sendable, _ help: String) {
        self.name = name
        placeholder = nil
        self.help = help
        choices = []
        range = nil
        read = { .bool($0[keyPath: path]) }
        write = { (root, json) throws(SettingError) in
            guard case .bool(let value) = json else { throw SettingError(name, "is not true or false") }
            root[keyPath: path] = value
        }
        parse = { (_) throws(SettingError) in .bool(true) }
        takesAnyText = false
    }

    private init<Value: SettingValue>(
        _ name: String, _ placeholder: String, _ help: String, range: String?,
        read: @escaping @Sendable (Root) -> JSONValue,
        write set: @escaping @Sendable (inout Root, Value) -> Void,
        optional clear: (@Sendable (inout Root) -> Void)?,
        check: @escaping @Sendable (Value, String) throws(SettingError) -> Void = { _, _ in }
    ) {
        @Sendable func checked(_ value: Value?, _ given: String) throws(SettingError) -> Value {
            guard let value else {
                throw SettingError(
                    name, "'\(given)' is not \(Value.typeName)\(range.map { ": it is \($0)" } ?? "")")
            }
            try check(value, given)
            return value
        }
        self.name = name
        self.placeholder = placeholder
        self.help = help
        choices = []
        self.range = range
        self.read = read
        self.write = { (root, json) throws(SettingError) in
            if json == .null, let clear {
                clear(&root)
            } else {
                set(&root, try checked(Value(json: json), (try? json.text()) ?? ""))
            }
        }
        parse = { (text) throws(SettingError) in try checked(Value(text: text), text).json }
        takesAnyText = Value.self == String.self
    }
}

extension SettingRange {
    /// Reads the number that a person wrote for the setting of a name.
    package func value<Value: SettingNumber>(_ text: String, as type: Value.Type, of name: String)
        throws(SettingError) -> Value
    {
        guard let value = Value(text: text) else {
            throw SettingError(name, "'\(text)' is not \(Value.typeName): it is \(words)")
        }
        try check(value, text, name)
        return value
    }

    /// Checks the numbers of the setting of a name.
    ///
    /// - Parameter given: what was written.
    fileprivate func check(_ value: some SettingNumber, _ given: String, _ name: String) throws(SettingError)
    {
        let magnitudes = value.magnitudes
        guard let wrong = magnitudes.first(where: { !contains($0) }) else { return }
        let shown = magnitudes.count == 1 ? given : Int(exactly: wrong).map(String.init) ?? String(wrong)
        throw SettingError(name, "\(shown) is out of range: it is \(words)")
    }
}

/// A setting that cannot have the value given.
public struct SettingError: Error, Sendable, Equatable {
    /// The setting's name, lower case with hyphens.
    public let setting: String
    /// What is wrong.
    public let reason: String
    /// The names there are, where it is one of a few.
    public let choices: [String]
    /// What was given instead of one of the choices; nil where the setting has none.
    public let given: String?

    /// An error at the setting of a name, lower case with hyphens.
    public init(_ setting: String, _ reason: String, choices: [String] = [], given: String? = nil) {
        self.setting = setting
        self.reason = reason
        self.choices = choices
        self.given = given
    }

    /// The error for people, as `kind`.
    package func error(_ kind: OCCError.Kind = .usage) -> OCCError {
        guard !choices.isEmpty else { return OCCError(kind, "\(setting: setting): \(reason)") }
        let nearest = given.flatMap { nearestMatch(to: $0, in: choices) }.map { "Did you mean \($0)? " } ?? ""
        return OCCError(
            kind, "\(setting: setting): \(reason)",
            remedy: "\(nearest)There is: \(choices.joined(separator: ", ")).")
    }
}

/// A setting without the type it belongs to: for listings.
public struct SettingDescription: Sendable, Equatable {
    /// The name, lower case with hyphens.
    public let name: String
    /// What stands for the value in the help; nil for one that is on or off.
    public let placeholder: String?
    /// What it means, a sentence without its default.
    public let help: String
    /// The names it can have, where there are only a few.
    public let choices: [String]
    /// What it may be, in words; nil where anything of its type is.
    public let range: String?
    /// The value that it has by itself; null where there is none.
    public let standard: JSONValue
    /// Whether any text can be its value, as far as its declaration says.
    public let takesAnyText: Bool
    /// Checks the text that a person wrote.
    package let check: @Sendable (String) throws(SettingError) -> Void

    /// Whether two are declared alike and have the same standard.
    public static func == (a: SettingDescription, b: SettingDescription) -> Bool {
        (a.name, a.placeholder, a.help, a.range) == (b.name, b.placeholder, b.help, b.range)
            && (a.choices, a.standard, a.takesAnyText) == (b.choices, b.standard, b.takesAnyText)
    }

    /// The help with the choices, the range and the default.
    public var sentence: String {
        var words = help
        if !choices.isEmpty { words += " One of " + choices.joined(separator: ", ") + "." }
        if let range { words += " It is \(range)." }
        switch standard {
        case .null, .bool: return words
        case .string(let text): return "\(words) (\(text))"
        case .number(let value) where value == value.rounded() && abs(value) < 1e15:
            return "\(words) (\(Int(value)))"
        default: return "\(words) (\((try? standard.text()) ?? ""))"
        }
    }
}

/// A type with settings.
public protocol HasSettings {
    /// The settings, in the order of listings. Values that differ have different settings' values: two that
    /// agree in all of them are the same.
    static var settings: [Setting<Self>] { get }
    /// The names of settings that this value has no use for, where its type has several forms: they are not listed,
    /// written or set. By default none.
    var unusedSettings: Set<String> { get }
}

extension HasSettings {
    /// None.
    public var unusedSettings: Set<String> { [] }

    /// The settings that this value uses.
    private var settingsInUse: [Setting<Self>] {
        let unused = unusedSettings
        return Self.settings.filter { !unused.contains($0.name) }
    }

    /// The settings' values, by their JSON keys.
    public var settingValues: [String: JSONValue] {
        Dictionary(uniqueKeysWithValues: settingsInUse.map { ($0.key, $0.read(self)) })
    }

    /// The settings, with the values they have here as their defaults.
    public var settingDescriptions: [SettingDescription] {
        settingsInUse.map { setting in
            let parse = setting.parse
            return SettingDescription(
                name: setting.name, placeholder: setting.placeholder, help: setting.help,
                choices: setting.choices, range: setting.range, standard: setting.read(self),
                takesAnyText: setting.takesAnyText,
                check: { (text) throws(SettingError) in _ = try parse(text) })
        }
    }

    /// Sets the setting of a JSON key.
    ///
    /// - Returns: whether there is such a setting.
    /// - Throws: `SettingError` for a value of another type or out of its range.
    public mutating func set(key: String, to value: JSONValue) throws(SettingError) -> Bool {
        guard let setting = settingsInUse.first(where: { $0.key == key }) else { return false }
        try setting.write(&self, value)
        return true
    }

    /// Sets the setting of a name from the text that a person wrote.
    ///
    /// - Returns: whether there is such a setting.
    /// - Throws: `SettingError` for text that is not understood or out of its range.
    public mutating func set(name: String, text: String) throws(SettingError) -> Bool {
        guard let setting = settingsInUse.first(where: { $0.name == name }) else { return false }
        try setting.write(&self, try setting.parse(text))
        return true
    }

    /// Checks every setting against its range.
    public func checkSettings() throws(SettingError) {
        var copy = self
        for setting in settingsInUse { try setting.write(&copy, setting.read(self)) }
    }
}

/// A component chosen by its name, with settings of its own: an encoder, a method, a detector.
public protocol Configurable: HasSettings, Sendable {
    /// The name it is chosen by: lower case with hyphens.
    var name: String { get }
    /// What it is, in a line.
    var summary: String { get }
}

/// The JSON key of a name: learning-rate -> learningRate
package func settingKey(_ name: String) -> String {
    let words = name.split(separator: "-")
    return words.enumerated().map { $0 == 0 ? String($1) : $1.prefix(1).uppercased() + $1.dropFirst() }
        .joined()
}

/// The candidate with the fewest edits from `text`, if it takes few enough to be a slip.
package func nearestMatch(to text: String, in candidates: [String]) -> String? {
    // Characters put in, left out, replaced, or exchanged with the next one (optimal string alignment).
    func distance(_ a: [Character], _ b: [Character]) -> Int {
        var before: [Int] = [], last = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var row = [i + 1]
            for (j, y) in b.enumerated() {
                var best = min(last[j + 1] + 1, row[j] + 1, last[j] + (x == y ? 0 : 1))
                if i > 0, j > 0, x == b[j - 1], a[i - 1] == y { best = min(best, before[j - 1] + 1) }
                row.append(best)
            }
            (before, last) = (last, row)
        }
        return last[b.count]
    }
    let scored = candidates.sorted().map { (distance(Array(text), Array($0)), $0) }
    guard let best = scored.min(by: { $0.0 < $1.0 }), best.0 <= max(2, text.count / 3) else { return nil }
    return best.1
}
