import OCCEngine
import Testing

@Suite struct SettingsTests {
    private struct Sample: HasSettings, Equatable {
        enum Color: String, CaseIterable, Sendable { case red, green }

        var rate = 0.5
        var count: Int?
        var widths: [Int]?
        var color = Color.red
        var on = false
        var seed: UInt64 = 1

        static let settings = [
            Setting("learning-rate", \Sample.rate, "R", range: .above(0, upTo: 1), "Rate."),
            Setting("count", \.count, "N", range: .count(from: 2), "Count."),
            Setting("widths", \.widths, "W", range: .within(1...4096), "Widths."),
            Setting("color", \.color, "Color."),
            Setting(flag: "on", \.on, "On."),
            Setting("seed", \.seed, "N", range: .anySeed, "Seed."),
        ]
    }

    @Test func textAndJSONSetTheSame() throws {
        var a = Sample(), b = Sample()
        let pairs: [(String, String, JSONValue)] = [
            ("learning-rate", "0.25", .number(0.25)), ("count", "7", .integer(7)),
            ("widths", "8x3,4", .array([.integer(8), .integer(8), .integer(8), .integer(4)])),
            ("color", "green", .string("green")), ("on", "true", .bool(true)),
            ("seed", "18446744073709551615", .unsigned(.max)),
        ]
        for (name, text, json) in pairs {
            #expect(try a.set(name: name, text: text))
            #expect(try b.set(key: settingKey(name), to: json))
        }
        #expect(a == b)
        #expect(a == Sample(rate: 0.25, count: 7, widths: [8, 8, 8, 4], color: .green, on: true, seed: .max))
        #expect(a.settingValues["learningRate"] == .number(0.25))
        #expect(try a.set(key: "count", to: .null))
        #expect(a.count == nil)
        #expect(try a.set(name: "other", text: "1") == false)
    }

    @Test(arguments: [
        ("learning-rate", "0"), ("learning-rate", "nan"), ("learning-rate", "inf"), ("learning-rate", ""),
        ("learning-rate", "1.5"), ("count", "1"), ("count", "2.5"), ("count", "-3"), ("count", "1e400"),
        ("widths", "8x"), ("widths", "8x0"), ("widths", "0"), ("widths", "-1"), ("widths", ""),
        ("widths", "4,,4"),
        ("color", "blue"), ("color", ""), ("seed", "-1"), ("seed", "1e3"),
    ])
    func whatIsOutOfRangeIsRefused(_ name: String, _ text: String) {
        var sample = Sample()
        let error = #expect(throws: SettingError.self) { try sample.set(name: name, text: text) }
        #expect(error?.setting == name)
        #expect(sample == Sample())
    }

    @Test func rangesHoldForValuesSetInCode() {
        #expect(throws: SettingError.self) { try Sample(rate: .nan).checkSettings() }
        #expect(throws: SettingError.self) { try Sample(count: 1).checkSettings() }
        #expect(throws: Never.self) { try Sample().checkSettings() }
    }

    /// The library calls settings by their keys, the command line by its options.
    @Test func errorsAreWordedForTheirReaders() {
        let error = OCCError(
            .usage, "\(setting: "learning-rate") is odd", remedy: "Lower \(setting: "batch").")
        #expect(error.description == "learningRate is odd\n  Lower batch.")
        #expect(error.text { "--\($0)" } == "--learning-rate is odd\n  Lower --batch.")
    }

    @Test func registriesTakeOthers() throws {
        let registry = Registry("color", ["red", "green"]) { $0 }
        registry.register("blue")
        registry.register("red")
        #expect(registry.names == ["red", "green", "blue"])
        let error = #expect(throws: SettingError.self) { try registry.entry("gren") }
        #expect(error?.error().remedy?.contains("Did you mean green?") == true)
    }
}
