import Foundation
import OCCCommandLine
import OCCEngine
import TestSupport
import Testing
import occ_gpu

/// The page that sets this software beside others names commands for what it can: they are there.
@Suite struct PeersPageTests {
    private static let root = URL(fileURLWithPath: fixturePath("")).deletingLastPathComponent()
        .deletingLastPathComponent().path

    /// The commands in the second column of the page's tables, each as its words.
    private static func commands() throws -> [[String]] {
        let page = try readFile("\(root)/Sources/OneClass/OneClass.docc/Peers.md")
        let rows = String(decoding: page, as: UTF8.self).split(separator: "\n").filter { $0.hasPrefix("| ") }
        return rows.flatMap { row -> [[String]] in
            let cell = row.split(separator: "|").dropFirst().first ?? ""
            return cell.matches(of: #/`([^`]+)`/#).map { $0.1.split(separator: " ").map(String.init) }
        }
    }

    @Test func commandsAreThere() throws {
        var count = 0
        for words in try Self.commands() {
            let line = words.joined(separator: " ")
            if words[0].hasPrefix(".ci/") {
                #expect(pathExists("\(Self.root)/\(words[0])"), "\(line)")
                continue
            }
            let own = words.firstIndex(of: "occ-gpu").map { Array(words[($0 + 1)...]) } ?? words
            guard let command = OCCGPU.program.commands.first(where: { $0.name == own[0] }) else {
                // The value of an option that an earlier command of the cell has, or a file.
                #expect(own.count == 1, "\(line): there is no such command")
                continue
            }
            count += 1
            for option in own where option.hasPrefix("--") {
                #expect(
                    command.options.contains { "--\($0.name)" == option }, "\(line): there is no \(option)")
            }
        }
        #expect(count > 20)
    }
}
