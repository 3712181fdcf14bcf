import Foundation
import OCCEngine
import OneClass
import TestSupport
import Testing

/// Heads for runs of few steps.
extension CommandLineTests {
    /// A short contrastive run has a head that it can learn with, or is warned of.
    @Test func shortRunsHaveShallowHeads() throws {
        let folder = try TemporaryFolder()
        try smallDataset(in: folder)
        let options =
            "--data data --method contrastive --encoder resnet10 --width 0.0625 --batch 4 --steps 2 "
            + "--image-size 32 --hold-out 0.25 --quiet --device cpu"
        func head(_ run: String) throws -> [Int]? {
            let file = folder.file("\(run)/config.json")
            return try RunConfiguration(json: try readFile(file), name: file).head
        }
        let byItself = try shell("$OCC train \(options) --out short", in: folder)
        #expect(byItself.status == 0 && !byItself.errors.contains("near chance"), "\(byItself.errors)")
        #expect(try head("short") == [512, 512, 128])
        let deep = try shell("$OCC train \(options) --head 512x8,128 --out deep", in: folder)
        #expect(deep.status == 0, "\(deep.errors)")
        #expect(
            deep.errors.contains("warning: with the head 512x8,128")
                && deep.errors.contains("--head 512x2,128"))
        #expect(try head("deep") == [Int](repeating: 512, count: 8) + [128])
        // The paper's recipe has the paper's head; rotations learn with it from the first.
        var c = RunConfiguration()
        #expect(c.quickHead(steps: 10) == nil)
        c.method = Contrastive()
        #expect(c.quickHead(steps: 10)?.widths == [512, 512, 128])
        #expect(c.quickHead(steps: 1000) == nil && c.quickHead(steps: 0) == nil)
        c.head = [64, 32]
        #expect(c.quickHead(steps: 10) == nil)
    }

    @Test func widthsAreWrittenAsTheyAreRead() {
        for text in ["512x8,128", "16", "none", "512x2,128", "8,4,8"] {
            #expect([Int](text: text)?.widthsText == text)
        }
    }
}
