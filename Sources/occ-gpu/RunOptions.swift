import Foundation
import OCCCommandLine
import OneClass

/// The options that make a `RunConfiguration`, shared by train, protocol and plan: made from the declarations
/// of the settings, so that each is written once.
enum RunOptions {
    static let options =
        [Option("config", "FILE", "Start from a config.json; other options override it.")]
        + RunConfiguration().settingDescriptions.map { Option($0) } + choices + componentOptions
        + deviceOptions

    /// --encoder, --method and --detector.
    private static let choices = ChosenComponent.all.map { component in
        let names = component.choices().map { $0.name }
        return Option(
            component.name, "NAME",
            "\(component.help) One of \(names.joined(separator: ", ")). (\(component.read(RunConfiguration()).name))",
            choices: names
        ) { (text) throws(SettingError) in
            var configuration = RunConfiguration()
            try component.choose(&configuration, text)
        }
    }

    /// The settings of encoders, methods and detectors, each once, under those that have it.
    private static let componentOptions = ChosenComponent.all.flatMap { component in
        var options: [(description: SettingDescription, owners: [String])] = []
        for choice in component.choices() {
            for description in choice.settingDescriptions {
                if let place = options.firstIndex(where: { $0.description == description }) {
                    options[place].owners.append(choice.name)
                } else {
                    options.append((description, [choice.name]))
                }
            }
        }
        return options.map { option in
            let all = option.owners.count == component.choices().count
            let owners = all ? "every \(component.name)" : option.owners.joined(separator: ", ")
            return Option(option.description, group: "OPTIONS OF \(owners)")
        }
    }

    static let deviceOptions = [
        Option(
            "device", "NAME",
            "auto (a GPU where there is one), cpu, cuda, or cuda:N for one of several. (auto)",
            choices: ["auto", "cpu", "cuda"]
        ) {
            (text) throws(SettingError) in
            guard Device.Request(text) == nil else { return }
            throw SettingError("device", "there is no '\(text)'", choices: Device.Request.names, given: text)
        },
        Option("threads", "N", .within(0...256), standard: 0, "CPU threads; 0 for one a core."),
    ]

    static let checkpointSeconds = Option(
        "checkpoint-seconds", "S", .within(0...1e6), standard: 60.0, "Seconds between checkpoints.")

    /// The seeds of several runs.
    static let seeds = Option(
        "seeds", "N", "Repeat with the seeds 1 to N, or with those of a list, such as 3,7 or 4-6. (1)"
    ) { (text) throws(SettingError) in
        guard seedList(text) != nil else {
            throw SettingError("seeds", "'\(text)' is neither a number nor a list of seeds")
        }
    }

    /// The part of several runs that one job does.
    static let shard = Option(
        "shard", "I/N",
        "Do the runs I, I + N, I + 2 N, ... only, as one of N jobs; by itself as Slurm numbers the job of an array."
    ) { (text) throws(SettingError) in
        guard ProtocolRun.Shard(text: text) != nil else {
            throw SettingError("shard", "'\(text)' is no part, such as 2/8")
        }
    }

    /// The part of the runs that falls to this process; nil for all.
    static func shard(_ arguments: Arguments) -> ProtocolRun.Shard? {
        let part =
            arguments["shard"].flatMap { ProtocolRun.Shard(text: $0) }
            ?? Slurm.shard(ProcessInfo.processInfo.environment)
        if let part { say("part \(part.number) of \(part.count) of the runs") }
        return part
    }

    static func seeds(_ arguments: Arguments) -> [UInt64] { seedList(arguments["seeds"] ?? "1")! }

    /// The settings of the encoders and methods that are given, by name, as they were written.
    static func written(_ arguments: Arguments) -> [String: String] {
        let names = Set(
            RunConfiguration().settingDescriptions.map(\.name) + ["encoder"]
                + (Encoders.registry.entries.map { $0.settingDescriptions }
                + Methods.registry.entries.map { $0.settingDescriptions }).joined().map(\.name))
        return Dictionary(
            uniqueKeysWithValues: names.compactMap { name in
                (arguments[name] ?? (arguments.has(name) ? "true" : nil)).map { (name, $0) }
            })
    }

    /// Checks that one option says how long to train.
    ///
    /// - Throws: `OCCError(.usage)` for two.
    static func checkLength(_ arguments: Arguments) throws {
        guard arguments["steps"] != nil, arguments["epochs"] != nil else { return }
        throw OCCError(
            .usage, "--steps and --epochs both say how long to train", remedy: "Give one of them.")
    }

    /// - Parameter start: what options override, where no file is given.
    static func configuration(_ arguments: Arguments, from start: RunConfiguration = RunConfiguration())
        throws
        -> RunConfiguration
    {
        var none: [any Detector] = []
        return try configuration(arguments, from: start, comparing: &none)
    }

    /// - Parameter detectors: what is fitted beside the configured detector; an option is set in each that has it.
    static func configuration(
        _ arguments: Arguments, from start: RunConfiguration = RunConfiguration(),
        comparing detectors: inout [any Detector]
    ) throws -> RunConfiguration {
        try checkLength(arguments)
        var c = start
        if let path = arguments["config"] { c = try RunConfiguration(json: try readFile(path), name: path) }
        do {
            for component in ChosenComponent.all {
                // The same choice again keeps the settings that the file gives it.
                if let name = arguments[component.name], name != component.read(c).name {
                    try component.choose(&c, name)
                }
            }
            if let path = arguments["weights"], arguments["config"] == nil, !isModel(path) {
                // Weights from elsewhere are of networks that saw ImageNet's colors and the large stem; options override it.
                for (name, value) in [("normalize", "imagenet"), ("stem", "large")] {
                    _ = try c.encoder.set(name: name, text: value)
                }
            }
            let chosen = Set(ChosenComponent.all.map(\.name) + ["config"])
            for option in options where !chosen.contains(option.name) {
                guard let text = arguments[option.name] ?? (arguments.has(option.name) ? "true" : nil) else {
                    continue
                }
                var isKnown = false
                // Models of patches, which the run's own options before this one say, are not compared.
                for place in detectors.indices where c.patch == nil {
                    if try detectors[place].set(name: option.name, text: text) { isKnown = true }
                }
                try set(option.name, text, in: &c, isKnown: isKnown)
            }
        } catch let error {
            throw error.error()
        }
        // Epochs given on the command line count, whatever the file says of steps.
        if arguments["epochs"] != nil, arguments["steps"] == nil { c.steps = nil }
        try c.validate()
        return c
    }

    /// Whether a file of weights is a model of this program; false where it cannot be read, of which the run tells.
    private static func isModel(_ path: String) -> Bool {
        (try? TensorFile(contentsOf: path)).map(OneClassModel.isModel) ?? false
    }

    /// Sets one option in the run's settings or those of what is chosen.
    ///
    /// - Parameter isKnown: whether something else has it, so that nothing here must.
    private static func set(_ name: String, _ text: String, in c: inout RunConfiguration, isKnown: Bool)
        throws(SettingError)
    {
        if try c.set(name: name, text: text) { return }
        for component in ChosenComponent.all {
            if try component.setText(&c, name, text) { return }
        }
        for component in ChosenComponent.all {
            guard !isKnown, let owner = component.owner(ofSetting: name) else { continue }
            throw SettingError(
                name,
                "is an option of \(owner.name), and the \(component.name) is \(component.read(c).name)")
        }
    }

    static func device(_ arguments: Arguments) throws -> Device {
        let threads = arguments.value("threads", as: Int.self) ?? 0
        return try .choose(
            try Ranks.device(arguments["device"]), threads: threads == 0 ? Ranks.threads : threads,
            notice: say)
    }
}

/// Reads seeds: 5 is 1 to 5; 3,7 and 4-6 are themselves. nil for anything else.
private func seedList(_ text: String) -> [UInt64]? {
    if let count = UInt64(text) { return (1...1000).contains(count) ? Array(1...count) : nil }
    var seeds: [UInt64] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
        let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { UInt64($0) }
        guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, first <= last,
            last - first < 1000
        else { return nil }
        seeds += Array(first...last)
    }
    return Set(seeds).count == seeds.count ? seeds : nil
}

extension ProtocolRun.Shard {
    /// Reads a part of the runs, such as 2/8; nil for what is none.
    init?(text: String) {
        let numbers = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
        guard numbers.count == 2, let number = numbers[0], let count = numbers[1] else { return nil }
        self.init(number, of: count)
    }
}
