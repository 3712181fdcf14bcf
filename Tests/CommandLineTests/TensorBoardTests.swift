import Foundation
import OCCEngine
import OneClass
import TestSupport
import Testing

/// Event files for TensorBoard, read by a reader of the tests' own. `bench/peers/check_tensorboard.py` has
/// TensorBoard read them.
@Suite struct TensorBoardTests {
    /// The events of a folder's files, in the order in which TensorBoard reads them.
    private static func files(_ folder: String) throws -> [[ReadEvent]] {
        try folderNames(folder).map { name in
            #expect(name.contains("tfevents"))
            let (events, left) = try ReadEvent.all(try readFile("\(folder)/\(name)"))
            #expect(left == 0 && events.first?.version == "brain.Event:2")
            return events
        }
    }

    /// What TensorBoard shows: a start takes back what came before of its step and later ones.
    private static func shown(_ files: [[ReadEvent]]) -> [ReadEvent] {
        files.joined().reduce(into: []) { shown, event in
            if event.isStart { shown.removeAll { $0.step >= event.step } }
            if !event.scalars.isEmpty { shown.append(event) }
        }
    }

    private static func record(_ step: Int, loss: Double) -> StepRecord {
        StepRecord(
            step: step, totalSteps: 9, loss: loss, learningRate: 0.125,
            collapse: .init(spread: 0.5, effectiveRank: 7.25, gradientNorm: .infinity), imagesPerSecond: 12345
        )
    }

    /// RFC 3720, appendix B.4, and the check value of the CRC catalogues.
    @Test func checksumsAreKnown() {
        let vectors: [([UInt8], UInt32)] = [
            ([UInt8](repeating: 0, count: 32), 0x8a91_36aa),
            ([UInt8](repeating: 255, count: 32), 0x62a8_ab43),
            (Array(0..<32), 0x46dd_794e), ((0..<32).reversed(), 0x113f_db5c),
            (Array("123456789".utf8), 0xe306_9283), ([], 0),
        ]
        for (bytes, crc) in vectors {
            #expect(EventFile.crc32C(bytes) == crc)
            #expect(ReadEvent.checksum(bytes) == crc)
        }
    }

    /// What was written after the checkpoint that a run goes on from does not count, nor does what an earlier
    /// run left; a torn record is passed over.
    @Test func resumedRunsHaveNoStepTwice() throws {
        let folder = try TemporaryFolder(), path = folder.file("a/b")
        for (start, steps) in [(0, 1...4), (0, 1...6), (4, 5...7), (7, 8...9)] {
            let log = try TensorBoardLog(path, resumingAt: start)
            for step in steps { try log.append(Self.record(step, loss: Double(100 * start + step))) }
        }
        // One that has nothing left to do.
        _ = try TensorBoardLog(path, resumingAt: 9)
        let files = try Self.files(path)
        #expect(files.count == 4)
        let shown = Self.shown(files)
        #expect(shown.map(\.step) == Array(1...9))
        #expect(
            shown.map { $0.scalars["training/loss"] } == [1, 2, 3, 4, 405, 406, 407, 708, 709])
        let last = try #require(shown.last)
        #expect(last.scalars["training/learning_rate"] == 0.125)
        #expect(last.scalars["collapse/effective_rank"] == 7.25 && last.scalars["collapse/spread"] == 0.5)
        #expect(last.scalars["collapse/gradient_norm"] == .infinity)
        #expect(abs(last.time - Date().timeIntervalSince1970) < 60)

        let name = try #require(try folderNames(path).last), whole = try readFile("\(path)/\(name)")
        for cut in [1, 3, 20] {
            let (events, left) = try ReadEvent.all(Array(whole.dropLast(cut)))
            #expect(events.count == 3 && left > 0 && events.last?.step == 8)
        }
    }

    /// A run has every line of metrics.jsonl, and at its end the evaluation and maps.
    @Test func runsWriteTheirRecordsAndMaps() throws {
        let folder = try TemporaryFolder()
        try smallDataset(in: folder)
        let command = ["train", "--data", folder.file("data"), "--out", folder.file("run"), "--json"]
        let arguments = command + smallPatches + ["--tensorboard", folder.file("events")]
        var outcome = try run(arguments, in: folder)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let evaluation = try JSONDecoder().decode(Evaluation.self, from: Data(outcome.output.utf8))
        for _ in 0..<2 {
            let files = try Self.files(folder.file("events")), shown = Self.shown(files)
            #expect(files.count == 2)
            let records = shown.filter { $0.scalars["training/loss"] != nil }
            let lines = try readFile(folder.file("run/metrics.jsonl")).split(separator: UInt8(ascii: "\n"))
            #expect(records.count == 4 && lines.count == 4)
            for (record, line) in zip(records, lines) {
                let fields = try #require(
                    try JSONSerialization.jsonObject(with: Data(line)) as? [String: Double])
                #expect(record.step == fields["step"].map { Int($0) })
                #expect(record.scalars["training/loss"] == fields["loss"].map { Float($0) })
                #expect(record.scalars["collapse/spread"] == fields["spread"].map { Float($0) })
            }
            let last = try #require(shown.last)
            #expect(last.step == 4 && last.scalars["evaluation/auroc"] == evaluation.auroc.map { Float($0) })
            let pictures = files.joined().flatMap { $0.pictures }
            #expect(pictures.count == 5)
            for (name, picture) in pictures {
                #expect(name.hasPrefix("maps/") && name.hasSuffix(".png"))
                let image = try RGBImage(bytes: picture.png, name: name)
                #expect((image.width, image.height) == (picture.width, picture.height))
            }
            // The finished run again changes nothing.
            outcome = try run(arguments, in: folder)
            #expect(outcome.status == 0, "\(outcome.errors)")
        }
        let wrong = try run(
            command + smallPatches + ["--overwrite", "--tensorboard", "/proc/occ"], in: folder)
        #expect(wrong.status == 73 && wrong.errors.contains("/proc/occ"), "\(wrong.errors)")
    }
}
