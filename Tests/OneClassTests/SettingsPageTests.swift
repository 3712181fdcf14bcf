import Foundation
import OCCEngine
import OneClass
import TestSupport
import Testing

/// The page of all settings is what their declarations say. To write it anew after a change:
///
///     OCC_WRITE_PAGES=1 swift test -c release --filter SettingsPageTests
@Suite struct SettingsPageTests {
    private static func table(_ settings: [SettingDescription]) -> String {
        let rows = settings.map { setting in
            let value = setting.placeholder.map { " \($0)" } ?? ""
            let text = setting.sentence.replacingOccurrences(of: "|", with: "or")
            return "| `--\(setting.name)\(value)` | `\(settingKey(setting.name))` | \(text) |"
        }
        return (["| on the command line | in config.json | |", "| --- | --- | --- |"] + rows).joined(
            separator: "\n")
    }

    private static var page: String {
        var sections = [
            """
            # Settings

            Everything that decides a run's result: on the command line, and in config.json.

            ## Overview

            In parentheses is the value that a setting has by itself. This page is made from the declarations that the
            command line reads too, and a test compares it with them.

            ### Every run

            \(table(RunConfiguration().settingDescriptions))
            """
        ]
        for component in ChosenComponent.all {
            for choice in component.choices() {
                let settings = choice.settingDescriptions
                sections.append(
                    """
                    ### \(choice.name)

                    `--\(component.name) \(choice.name)`: \(choice.summary)
                    """ + (settings.isEmpty ? "" : "\n\n\(table(settings))"))
            }
        }
        return sections.joined(separator: "\n\n") + "\n"
    }

    @Test func thePageIsWhatIsDeclared() throws {
        let path = URL(fileURLWithPath: fixturePath("")).appendingPathComponent(
            "../../Sources/OneClass/OneClass.docc/Start/Settings.md"
        ).standardizedFileURL
        if ProcessInfo.processInfo.environment["OCC_WRITE_PAGES"] != nil {
            try Self.page.write(to: path, atomically: true, encoding: .utf8)
        }
        #expect(try String(contentsOf: path, encoding: .utf8) == Self.page)
    }
}
