import Foundation
import OneClass
import TestSupport
import Testing

/// A paper's table from the command line.
@Suite struct ReproduceTests {
    private static let small = smallRun.filter { !["--log-every", "1", "--head", "none"].contains($0) }

    @Test func namesAreListed() throws {
        let folder = try TemporaryFolder()
        let plain = try run(["reproduce"], in: folder), listed = try run(["reproduce", "--list"], in: folder)
        #expect(plain.status == 0 && plain.output == listed.output)
        let names = plain.output.split(separator: "\n").map { $0.split(separator: " ")[0] }
        #expect(names.map(String.init) == Experiment.registry.names)
    }

    /// Table, JSON, page, and a second call that trains nothing.
    @Test func aTableIsMadeOnce() throws {
        let folder = try TemporaryFolder(), page = folder.file("page.html")
        try smallDataset(in: folder)
        let command =
            ["reproduce", "mlp-head", "--data", folder.file("data"), "--out", folder.file("runs")]
            + Self.small
        let first = try run(command + ["--seeds", "2", "--report", page], in: folder)
        #expect(first.status == 0, "\(first.errors)")
        #expect(first.output.contains("Rotation prediction") && first.output.contains("no value published"))
        #expect(first.errors.contains("run 2 of 2, 'good', seed 2"), "\(first.errors)")
        #expect(String(decoding: try readFile(page), as: UTF8.self).contains("<svg"))
        let second = try run(command + ["--seeds", "2", "--json"], in: folder)
        #expect(second.status == 0 && !second.errors.contains("run 1"), "\(second.errors)")
        let table = try JSONDecoder().decode(ReproductionTable.self, from: Data(second.output.utf8))
        #expect(table.text + "\n" == first.output && table.seeds == [1, 2])
        #expect(table.verdicts.isEmpty && table.budgets.allSatisfy { $0.steps == [4, 4] })
    }

    /// Images beside what raises the scores of three models, or beside the maps of two.
    @Test(arguments: [("explanations", [], 3), ("localization", ["--patch", "16", "--stride", "16"], 2)])
    func picturesAreOnThePage(_ name: String, _ options: [String], _ views: Int) throws {
        let folder = try TemporaryFolder(), page = folder.file("page.html")
        try smallDataset(in: folder)
        // An image of each kind will do.
        for kind in ["good", "bad"] {
            for index in 1...2 {
                try FileManager.default.removeItem(atPath: folder.file("data/test/\(kind)/\(index).png"))
            }
        }
        let outcome = try run(
            [
                "reproduce", name, "--data", folder.file("data"), "--out", folder.file("runs"),
                "--report", page,
            ] + Self.small + options, in: folder)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let html = String(decoding: try readFile(page), as: UTF8.self)
        #expect(html.components(separatedBy: "<img ").count == 1 + 2 * (1 + views))
    }

    @Test(arguments: [
        (["tabel5"], "table5"), (["table5", "mlp-head"], "mlp-head"),
        (["table5", "--out", "x"], "--data"), (["table5", "--data", "builtin:shapes"], "--out"),
        (["table5", "--budget", "0"], "--budget"), (["table5", "--budget", "1.5"], "--budget"),
        (["table5", "--data", "x", "--out", "y", "--budget", "0.1", "--steps", "3"], "--steps"),
        (["batch-size", "--data", "x", "--out", "y", "--batch", "3"], "--batch"),
        (["table7", "--data", "x", "--out", "y", "--rows", "rotaton"], "rotation"),
        (["table7", "--data", "x", "--out", "y", "--patch", "16"], "--patch"),
        (["explanations", "--data", "x", "--out", "y"], "--report"),
        (["table5", "--method", "rotation"], "--method"),
        (["table8", "--data", "builtin:shapes", "--out", "y"], "CIFAR-10"),
    ])
    func slipsAreNamed(_ words: [String], _ name: String) throws {
        let folder = try TemporaryFolder()
        let outcome = try run(["reproduce"] + words + ["--device", "cpu"], in: folder)
        #expect(outcome.status == 64 && outcome.errors.contains(name), "\(outcome.errors)")
        #expect(outcome.output.isEmpty)
    }
}
