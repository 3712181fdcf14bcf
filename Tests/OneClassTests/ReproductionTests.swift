import Foundation
import OCCData
import OCCDetectors
import OCCEngine
import OneClass
import TestSupport
import Testing

/// The papers' tables and figures: what is declared of them, what is compared, and small real runs.
@Suite struct ReproductionTests {
    // MARK: Declarations

    @Test func experimentsAreWhole() throws {
        let all = Experiment.registry.entries
        #expect(Set(all.map(\.name)).count == all.count && all.count >= 18)
        for experiment in all {
            let names = experiment.rows.map(\.name)
            #expect(Set(names).count == names.count && !names.isEmpty, "\(experiment.name)")
            #expect(experiment.summary.hasSuffix("."), "\(experiment.name)")
            for row in experiment.rows {
                let c = try experiment.configuration(of: row)
                #expect((row.x != nil) == (experiment.axis != nil), "\(row.name)")
                for measure in row.measures {
                    let isOfPatches = ProtocolMeasure.ofPatches.map(\.column).contains(measure.column)
                    #expect(isOfPatches == (c.patch != nil), "\(experiment.name) \(row.name)")
                    guard case .classifier = measure else { continue }
                    #expect(c.method is any TransformationScoring, "\(experiment.name) \(row.name)")
                }
            }
            // What claims compare is there.
            for term in experiment.claims.flatMap(\.terms) {
                let row = try #require(
                    experiment.rows.first { $0.name == term.row }, "\(experiment.name) \(term.row)")
                #expect(row.measures.contains { $0.column == term.column }, "\(term.row) \(term.column)")
            }
            for claim in experiment.claims {
                #expect(abs(claim.terms.reduce(0) { $0 + $1.weight }) < 1e-12, "\(claim.statement)")
                #expect(claim.datasets.isSubset(of: PublishedValues.datasets), "\(claim.statement)")
            }
        }
    }

    /// CutPaste's tables are of images of 256 pixels and of 256 times 256 steps; where the number of transformations is
    /// what is asked, the recipe itself does not mirror.
    @Test func experimentsHaveThePapersNumbers() throws {
        func configurations(_ name: String) throws -> [RunConfiguration] {
            let experiment = try Experiment.registry.entry(name)
            return try experiment.rows.map { try experiment.configuration(of: $0).resolved }
        }
        for name in ["cutpaste", "cutpaste-localization"] {
            for c in try configurations(name) { #expect(c.imageSize == 256 && c.steps == 65_536) }
        }
        let mirrored = try configurations("augmentations").filter { $0.augment?.contains("hflip") ?? true }
        #expect(mirrored.isEmpty)
    }

    /// Behind ± in a mean's line stands the mean of the classes' deviations, as in the papers' tables, and not the
    /// deviation of the means over seeds (0 here), nor that over classes.
    @Test func deviationsOfClassesAreAveraged() throws {
        let values = ["cat": [0.90, 0.92, 0.94], "dog": [0.60, 0.56, 0.52]]
        let results = values.flatMap { name, values in
            values.enumerated().map { seed, value in
                ProtocolRun.Result(
                    name: name, seed: UInt64(seed), values: ["kde": value], configuration: RunConfiguration())
            }
        }
        let table = ProtocolTable(
            method: "rotation", columns: ["kde"], names: ["cat", "dog"], results: results)
        let cells = try (table.rows + [table.mean]).map { try #require($0.cells["kde"]) }
        for (cell, (mean, deviation)) in zip(cells, [(0.92, 0.02), (0.56, 0.04), (0.74, 0.03)]) {
            #expect(abs(cell.mean - mean) < 1e-12 && abs(cell.deviation - deviation) < 1e-12)
        }
        #expect(table.text.contains("74.0±3.0"))
    }

    /// The tables agree with each other: the means of their classes are those that they print, and those of Table 7.
    @Test(arguments: [("CIFAR-10", 10), ("CIFAR-100", 20), ("Fashion-MNIST", 10), ("Cat-vs-Dog", 2)])
    func publishedMeansAreThoseOfTheirClasses(_ dataset: String, _ count: Int) throws {
        let last = try #require(PublishedValues.classTables[dataset]?.text.split(separator: "\n").last)
        let printed = last.split(separator: " ").map { PublishedValue($0, "") }
        #expect(printed.count == PublishedValues.classColumns.count)
        for (column, stated) in zip(PublishedValues.classColumns, printed) {
            let parts = column.split(separator: " ").map(String.init)
            let classes = try #require(PublishedValues.classes(dataset, parts[0], parts[1]))
            #expect(classes.count == count && classes.allSatisfy { $0.spread != nil })
            let mean = classes.reduce(0) { $0 + $1.mean } / Double(count)
            // Means of rounded values, rounded.
            #expect(abs(mean - stated!.mean) < 0.00151, "\(dataset) \(column): \(mean)")
            let summary = try #require(PublishedValues.mean(dataset, parts[0], parts[1]))
            let isDisputed = summary.remark == "the paper's tables disagree"
            #expect(isDisputed || abs(summary.mean - stated!.mean) < 1e-9, "\(dataset) \(column)")
        }
    }

    @Test func publishedCategoriesAverageToThePapersMeans() throws {
        #expect(PublishedValues.categories.count == 15)
        for (column, mean) in zip(PublishedValues.cutPasteColumns, [73.1, 90.9, 93.5, 95.2, 96.0]) {
            let all = PublishedValues.categories.compactMap { PublishedValues.category($0, column)?.mean }
            #expect(all.count == 15)
            #expect(abs(100 * all.reduce(0, +) / 15 - mean) < 0.06, "\(column)")
        }
    }

    // MARK: Comparisons

    @Test func agreementIsByThePublishedSpread() throws {
        let value = try #require(PublishedValue("92.4±0.7", "Table 7"))
        #expect(value.mean == 0.924 && abs(value.spread! - 0.007) < 1e-15)
        let bare = PublishedValue("67.9", "Table 7")
        #expect(bare?.spread == nil && PublishedValue("92.4±", "") == nil && PublishedValue("a", "") == nil)
        #expect(Agreement(0.931, value) == .within && Agreement(0.917, value) == .within)
        #expect(Agreement(0.932, value) == .above && Agreement(0.9, value) == .below)
        #expect(Agreement(0.9, bare) == .noSpread && Agreement(0.9, nil) == .unpublished)
    }

    @Test func claimsGoByDirectionAndSpread() {
        #expect(Claim.outcome([]) == .notTested)
        #expect(Claim.outcome([0.001]) == .confirmed && Claim.outcome([-0.001]) == .notConfirmed)
        #expect(Claim.outcome([0.01, 0.012, 0.011]) == .confirmed)
        // The mean is above 0 by less than two standard errors.
        #expect(Claim.outcome([0.05, -0.03, 0.01]) == .undecided)
        #expect(Claim.outcome([0.03, -0.05, -0.01]) == .notConfirmed)
        #expect(Claim.outcome([0, 0]) == .notConfirmed)
    }

    /// A data set of the published one's name, without anything to see.
    private static func fashion() -> ImageDataset {
        var images = LabeledImages(side: 32)
        images.images = ImageBatch(side: 32, pixels: [UInt8](repeating: 0, count: 20 * 32 * 32 * 3))
        (images.labels, images.names) = ((0..<20).map { $0 % 10 }, (0..<20).map(String.init))
        return ImageDataset(
            name: "Fashion-MNIST", kind: .oneVersusRest, classNames: (0..<10).map { "class \($0)" },
            train: images, test: images)
    }

    private static func part(
        _ row: Experiment.Row, _ c: RunConfiguration, _ dataset: ImageDataset, _ classes: [Int]?,
        _ seeds: [UInt64]
    ) -> Reproduction.Part {
        let run = ProtocolRun(
            dataset: dataset, configuration: c, measures: row.measures, classes: classes, seeds: seeds,
            folder: "nowhere")
        return Reproduction.Part(
            row: row, dataset: dataset.name, isComplete: classes == nil, run: run, fullSteps: 1000)
    }

    private static func part(_ experiment: String, _ name: String) throws -> Reproduction.Part {
        let experiment = try Experiment.registry.entry(experiment)
        let row = try #require(experiment.rows.first { $0.name == name })
        return part(row, try experiment.configuration(of: row), fashion(), [1], [2])
    }

    /// A table of results that are made up.
    private static func table(
        _ name: String, classes: [Int]? = nil, seeds: [UInt64] = [1, 2], rows: [String]? = nil,
        value: (String, String, Int, UInt64) -> Double
    ) throws -> ReproductionTable {
        let experiment = try Experiment.registry.entry(name), dataset = fashion()
        var table = ReproductionTable(experiment, overrides: ["steps": "100", "width": "0.25"])
        table.add(
            try experiment.rows(named: rows).map { row in
                let c = try experiment.configuration(of: row, overriding: ["width": "0.25", "steps": "100"])
                let part = part(row, c, dataset, classes, seeds)
                let results = (classes ?? Array(0..<10)).flatMap { label in
                    seeds.map { seed in
                        ProtocolRun.Result(
                            name: dataset.classNames[label], seed: seed,
                            values: Dictionary(
                                uniqueKeysWithValues: row.measures.map {
                                    ($0.column, value(row.name, $0.column, label, seed))
                                }), configuration: c, trainingImages: 500, testImages: 1000, steps: 100)
                    }
                }
                return ReproductionTable.Done(part: part, results: results)
            })
        return table
    }

    private static func cell(_ table: ReproductionTable, _ row: String, _ measure: String, _ name: String?)
        throws -> ReproductionTable.Cell
    {
        try #require(table.cells.first { ($0.row, $0.measure, $0.name) == (row, measure, name) })
    }

    /// All classes are compared with Table 7, some with the mean of theirs where that is published, and with nothing
    /// where it is not.
    @Test func someClassesAreComparedWithTheirOwnMean() throws {
        func value(_ row: String, _ column: String, _ label: Int, _ seed: UInt64) -> Double {
            0.9 + 0.01 * Double(seed)
        }
        let all = try Self.table("table7", value: value)
        let mean = try Self.cell(all, "rotation", "kde", nil)
        #expect(mean.published?.mean == 0.958 && mean.published?.source == "Table 7")
        #expect(abs(mean.mean! - 0.915) < 1e-12 && abs(mean.deviation! - 0.01 / 2.0.squareRoot()) < 1e-12)
        #expect(mean.agreement == .below)
        let some = try Self.table("table7", classes: [5, 9], value: value)
        let part = try Self.cell(some, "rotation", "kde", nil)
        #expect(abs(part.published!.mean - (0.973 + 0.986) / 2) < 1e-12)
        #expect(try Self.cell(some, "rotation", "kde", "class 9").published?.mean == 0.986)
        let linear = try Self.cell(some, "rotation", "ocsvm-linear", nil)
        #expect(linear.agreement == .otherClasses && linear.published?.mean == 0.89)
        #expect(some.text.contains("of all classes") && some.text.contains("| of other classes"))
        // Rotation prediction without a head is RotNet; with some layers it is in no table.
        let heads = try Self.table("projection-head", value: value)
        #expect(try Self.cell(heads, "rotation-0", "kde", nil).published?.mean == 0.946)
        #expect(try Self.cell(heads, "rotation-8", "kde", nil).published?.mean == 0.958)
        #expect(try Self.cell(heads, "rotation-4", "kde", nil).published == nil)
        #expect(try Self.cell(heads, "contrastive-0", "kde", nil).agreement == .unpublished)
        // Of a single class there is no mean besides, unless another value is published for it.
        let single = try Self.table("table10", classes: [5], value: value)
        #expect(!single.text.contains("| mean"))
        #expect(some.cells.contains { $0.name == nil } && single.cells.contains { $0.name == nil })
        // One seed has no spread.
        let one = try Self.table("table7", seeds: [3], value: value)
        #expect(try Self.cell(one, "rotation", "kde", nil).deviation == nil)
    }

    @Test func tablesSayWhatTheyTookAndFound() throws {
        func value(_ row: String, _ column: String, _ label: Int, _ seed: UInt64) -> Double {
            (row == "da-contrastive" ? 0.95 : 0.93) + 0.001 * Double(seed)
        }
        let table = try Self.table("table7", value: value), text = table.text
        #expect(text.contains("resnet18 of width 0.25, 100 steps (10 % of the experiment's 1,000)"))
        #expect(text.contains("500 training and 1,000 test images"), "\(text)")
        #expect(
            text.contains(
                "confirmed: Augmenting the distribution helps contrastive learning (+2.0±0.0; published: +0.9)"
            ), "\(text)")
        #expect(
            text.contains(
                "not confirmed: Two stages are better than the classifier's own score (+0.0±0.0; published: +7.2)"
            ), "\(text)")
        #expect(text.contains("Other than in the experiment: steps 100, width 0.25\n"))
        // Doubtful values are marked.
        #expect(text.contains("89.0±1.5 [") && text.contains("a public reproduction did not get this value."))
        let again = try JSONDecoder().decode(ReproductionTable.self, from: Data(try table.json().utf8))
        #expect(try again.json() == table.json() && again.text == table.text)
        var failing = table
        failing.add([
            ReproductionTable.Done(
                part: try Self.part("table7", "rotation"), results: [], missing: 1,
                failures: [.init(name: "class 1", seed: 2, reason: "it diverged", code: 1)])
        ])
        #expect(failing.text.contains("rotation, 'class 1', seed 2, failed: it diverged"))
        #expect(failing.html().contains("it diverged") && failing.missingRuns == 1)
        let without = try Self.table("table7", rows: ["rotation"], value: value)
        #expect(without.verdicts.allSatisfy { $0.outcome == .notTested })
    }

    /// Axes hold all values, end at round numbers within 0 to 100, and do not make much of little.
    @Test func axesSuitTheValues() {
        typealias Estimate = Chart.Estimate
        #expect(Chart.axis(of: []) == [0, 100])
        for (low, high) in [(93.1, 93.2), (10, 90), (99.6, 100), (0, 0.5), (61.3, 75.9), (50, 50)] {
            let all = [Estimate(value: low, spread: nil), Estimate(value: high, spread: nil)]
            let ticks = Chart.axis(of: all)
            #expect(ticks.first! <= low && ticks.last! >= high, "\(ticks)")
            #expect(ticks.first! >= 0 && ticks.last! <= 100 && ticks.count <= 8, "\(ticks)")
            #expect(high - low >= 5 || ticks.last! - ticks.first! >= 2.5, "\(ticks)")
        }
        let wide = Chart.axis(of: [Estimate(value: 90, spread: 9)])
        #expect(wide.first! <= 81 && wide.last! >= 99)
    }

    @Test func pagesAreWhole() throws {
        for name in ["labeled-normals", "batch-size", "table10", "table5"] {
            let table = try Self.table(name) { 0.8 + Double($0.count % 7) / 50 + Double($2 + Int($3)) / 1000 }
            let html = table.html()
            #expect(html.contains("<svg") && html.contains("Claims, at this budget"), "\(name)")
            #expect(!html.contains("nan") && !html.contains("inf\""), "\(name)")
            for tag in ["svg", "table", "figure", "ul", "tr", "td", "th", "main"] {
                let opened =
                    html.components(separatedBy: "<\(tag) ").count
                    + html.components(separatedBy: "<\(tag)>").count - 1
                #expect(opened == html.components(separatedBy: "</\(tag)>").count, "\(name): \(tag)")
            }
        }
        // A curve through each place; a line for each class where there is a table of them.
        let curves = try Self.table("contamination") { _, _, _, _ in 0.9 }.html()
        #expect(curves.components(separatedBy: "<polyline").count == 4)
        #expect(curves.components(separatedBy: "<circle").count == 13)
        #expect(curves.components(separatedBy: "<polygon").count == 4)
    }

    // MARK: Settings

    @Test func rowsAreChosenByNameOrCurve() throws {
        let experiment = try Experiment.registry.entry("contamination")
        #expect(try experiment.rows(named: ["contrastive"]).map(\.name).count == 4)
        #expect(
            try experiment.rows(named: ["rotation-0.1", "rotation-0"]).map(\.name) == [
                "rotation-0", "rotation-0.1",
            ])
        let error = #expect(throws: OCCError.self) { try experiment.rows(named: ["rotaton"]) }
        #expect(error?.kind == .usage && error?.remedy?.contains("rotation") == true)
    }

    /// The row of given weights is there where they are.
    @Test func givenWeightsMakeARow() throws {
        let experiment = try Experiment.registry.entry("table7")
        func make(_ rows: [String]?, _ overrides: [String: String]) throws -> [String] {
            try Reproduction(experiment, data: [], rows: rows, overrides: overrides, folder: "x").rowNames
        }
        #expect(
            try make(nil, [:]) == [
                "random", "rotnet", "denoising", "rotation", "contrastive", "da-contrastive",
            ])
        #expect(try make(["imagenet"], ["weights": "w"]) == ["imagenet"])
        let error = #expect(throws: OCCError.self) { try make(["imagenet"], [:]) }
        #expect(error?.remedy?.contains("weights") == true)
        let row = try #require(experiment.rows.first { $0.takesWeights })
        let given = try experiment.configuration(of: row, overriding: ["weights": "w", "width": "0.25"])
        #expect(given.weights == "w" && given.steps == 0 && (given.encoder as? ResNet)?.width == 1)
        let other = try experiment.configuration(of: experiment.rows[0], overriding: ["weights": "w"])
        #expect(other.weights == nil)
    }

    @Test func optionsOverrideWhatIsNotTheExperiments() throws {
        let experiment = try Experiment.registry.entry("contamination"), row = experiment.rows[1]
        let c = try experiment.configuration(
            of: row, overriding: ["width": "0.5", "temperature": "0.1", "epochs": "3"])
        #expect(c.contamination == 0.025 && c.epochs == 3 && c.holdOut == 0)
        #expect((c.encoder as? ResNet)?.width == 0.5)
        // A row of another method takes what is its own.
        let other = try #require(experiment.rows.first { $0.representation == "contrastive" })
        let contrastive = try experiment.configuration(of: other, overriding: ["temperature": "0.1"])
        #expect((contrastive.method as? Contrastive)?.temperature == 0.1)
        for (name, text) in [("contamination", "0.2"), ("noise", "1"), ("steps", "-1")] {
            let error = #expect(throws: OCCError.self) {
                try experiment.configuration(of: row, overriding: [name: text])
            }
            #expect(error?.kind == .usage && error?.message.contains(name) == true)
        }
    }

    @Test func budgetsScaleStepsOrEpochs() throws {
        let table7 = try Experiment.registry.entry("table7")
        let rotation = try #require(table7.rows.first { $0.name == "rotation" })
        #expect(try table7.configuration(of: rotation, budget: 0.01).epochs == 20)
        #expect(try table7.configuration(of: rotation, budget: 1e-9).epochs == 1)
        let random = try #require(table7.rows.first { $0.name == "random" })
        #expect(try table7.configuration(of: random, overriding: ["steps": "50"]).steps == 0)
        let cutPaste = try Experiment.registry.entry("cutpaste")
        #expect(try cutPaste.configuration(of: cutPaste.rows[1], budget: 0.5).steps == 32768)
        #expect(
            try cutPaste.configuration(of: cutPaste.rows[1], overriding: ["epochs": "2"], budget: 1).steps
                == nil
        )
        for wrong in [0, -1, 1.5, .nan] {
            let error = #expect(throws: OCCError.self) {
                try Reproduction(table7, data: ["builtin:shapes"], budget: wrong, folder: "x")
            }
            #expect(error?.message.contains("budget") == true)
        }
    }

    @Test func wrongDataIsNamed() throws {
        let folder = try TemporaryFolder(), device = try Device.cpu()
        func error(_ name: String, _ data: String, _ overrides: [String: String] = [:]) throws -> OCCError? {
            let experiment = try Experiment.registry.entry(name)
            return #expect(throws: OCCError.self) {
                try Reproduction(experiment, data: [data], overrides: overrides, folder: folder.path).run(
                    device: device)
            }
        }
        #expect(try error("contamination", "builtin:shapes")?.message.contains("contamination") == true)
        #expect(try error("table8", "builtin:shapes")?.message.contains("CIFAR-10") == true)
        #expect(try error("table5", "builtin:shapes", ["patch": "16"])?.remedy?.contains("patch") == true)
        #expect(
            try error("labeled-normals", "builtin:shapes", ["max-train": "20"])?.message.contains("50")
                == true)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }

    // MARK: Real runs

    /// What is trained once is not trained again: not by the same experiment, nor by another that shares it.
    @Test func runsAreSharedAndResumed() throws {
        let folder = try TemporaryFolder(), device = try Device.cpu()
        let small = [
            "encoder": "resnet10", "width": "0.0625", "head": "16x2", "batch": "8", "steps": "3",
            "max-train": "24", "max-test": "30",
        ]
        func run(_ name: String, rows: [String]? = nil, collecting: Bool = false) throws -> (
            table: ReproductionTable, started: Int, records: Int
        ) {
            var started = 0, records = 0
            let reproduction = try Reproduction(
                try Experiment.registry.entry(name), data: ["builtin:shapes"], rows: rows, overrides: small,
                folder: folder.path)
            let table = try reproduction.run(
                device: device, collecting: collecting, started: { _ in started += 1 },
                record: { _ in records += 1 })
            return (table, started, records)
        }
        let nothing = try run("end-to-end", collecting: true)
        #expect(nothing.table.missingRuns == 2 && nothing.started == 0)
        #expect(nothing.table.cells.allSatisfy { $0.mean == nil } && nothing.table.text.contains(" none |"))
        let first = try run("end-to-end")
        #expect(first.started == 2 && first.records > 0 && first.table.failures.isEmpty)
        let again = try run("end-to-end")
        #expect(again.started == 0 && again.records == 0)
        #expect(try again.table.json() == first.table.json())
        // The kernel SVM is new; the models are not.
        let other = try run("mlp-head")
        #expect(other.started == 2 && other.records == 0)
        let before = try Self.cell(first.table, "rotnet", "kde", nil)
        #expect(try Self.cell(other.table, "rotnet", "kde", nil).mean == before.mean)
        #expect(try run("end-to-end").started == 0)
        // The value is that of the same configuration by itself.
        let experiment = try Experiment.registry.entry("end-to-end")
        var c = try experiment.configuration(of: experiment.rows[0], overriding: small)
        c.data = "builtin:shapes"
        let split = try c.split(try c.dataset()), model = try OneClassModel.fit(split, configuration: c)
        #expect(try model.auroc(of: [KernelDensity()], on: split)["kde"] == before.mean)
        let scores = try model.transformationScores(of: split.test)["upright"]
        let auroc = try RankingMetrics(scores: try #require(scores), labels: split.testLabels).auroc
        #expect(try Self.cell(first.table, "rotnet", "classifier upright", nil).mean == auroc)
    }

    /// Jobs do their parts of all rows' runs, whose number is counted on from row to row; together they are the whole.
    @Test func jobsDoTheirParts() throws {
        let folder = try TemporaryFolder(), device = try Device.cpu()
        let small = [
            "encoder": "resnet10", "width": "0.0625", "head": "16x2", "batch": "8", "steps": "1",
            "max-train": "16", "max-test": "20",
        ]
        func run(_ shard: ProtocolRun.Shard?, collecting: Bool = false, in place: String) throws -> (
            table: ReproductionTable, started: [String]
        ) {
            var started: [String] = []
            var reproduction = try Reproduction(
                try Experiment.registry.entry("end-to-end"), data: ["builtin:shapes"], overrides: small,
                folder: folder.file(place))
            (reproduction.shard, reproduction.seeds) = (shard, [1, 2, 3])
            let table = try reproduction.run(
                device: device, collecting: collecting, started: { started.append($0) })
            return (table, started)
        }
        let whole = try run(nil, in: "whole"), count = whole.started.count
        let parts = try (1...4).map { try run(ProtocolRun.Shard($0, of: 4), in: "parts").started }
        #expect(count == 6 && parts.map(\.count) == [2, 2, 1, 1])
        #expect(parts.joined().sorted() == whole.started.sorted())
        let collected = try run(nil, collecting: true, in: "parts")
        #expect(collected.started.isEmpty && collected.table.missingRuns == 0)
        #expect(try collected.table.json() == whole.table.json())
    }

    /// A row that shows a collapse is at chance where it collapses, and no failure; what is resumed says so again.
    @Test func aCollapseIsChance() throws {
        let folder = try TemporaryFolder(), device = try Device.cpu()
        func run() throws -> (table: ReproductionTable, started: Int) {
            var started = 0
            let reproduction = try Reproduction(
                try Experiment.registry.entry("systems"), data: ["builtin:shapes"],
                rows: ["deep-svdd", "deep-svdd-biases"],
                overrides: [
                    "width": "0.0625", "outputs": "8", "steps": "400", "max-train": "64", "max-test": "40",
                ],
                folder: folder.path)
            let table = try reproduction.run(device: device, started: { _ in started += 1 })
            return (table, started)
        }
        let found = try run()
        #expect(found.table.failures.isEmpty && found.table.missingRuns == 0 && found.started == 2)
        #expect(found.table.collapses.count == 1)
        #expect(found.table.collapses.first?.contains("deep-svdd-biases") == true)
        #expect(found.table.collapses.first?.contains("collapsed to one point") == true)
        #expect(try Self.cell(found.table, "deep-svdd-biases", "own", nil).mean == 0.5)
        #expect(found.table.text.contains("is at chance") && found.table.html().contains("Collapsed runs"))
        let verdict = try #require(found.table.verdicts.first { $0.statement.contains("biases") })
        #expect(verdict.outcome != .notTested)
        let again = try run()
        #expect(try again.started == 0 && again.table.json() == found.table.json())
    }

    /// Ranks do each run once, and the first has the table of one process.
    @Test func ranksShareTheRuns() throws {
        let folder = try TemporaryFolder(), path = folder.path
        @Sendable func run(_ name: String, _ communicator: Communicator?) throws -> (
            json: String, started: Int
        ) {
            var reproduction = try Reproduction(
                try Experiment.registry.entry("mlp-head"), data: ["builtin:shapes"],
                overrides: [
                    "encoder": "resnet10", "width": "0.0625", "head": "16", "batch": "4", "steps": "1",
                    "max-train": "16", "max-test": "20",
                ], folder: "\(path)/\(name)")
            (reproduction.seeds, reproduction.communicator) = ([1, 2], communicator)
            var started = 0
            let table = try reproduction.run(device: try .cpu(), started: { _ in started += 1 })
            return (try table.json(), started)
        }
        let one = try run("one", nil), both = try ThreadRanks.run(2) { try run("both", $0) }
        #expect(one.started == 4 && both[0].started + both[1].started == 4)
        #expect(both[0].json == one.json)
    }

    /// Clean normal images are those that `labeled-normals` takes, and the encoder is the same.
    @Test func cleanNormalsAreThoseOfTheSetting() throws {
        var random = CounterRandom(seed: 3, stream: 0xC1EA)
        var images = LabeledImages(side: 32)
        images.images = ImageBatch(
            side: 32, pixels: (0..<60 * 32 * 32 * 3).map { _ in UInt8(random.uniform() * 255) })
        (images.labels, images.names) = ((0..<60).map { $0 % 3 }, (0..<60).map(String.init))
        let dataset = ImageDataset(
            name: "noise", kind: .oneVersusRest, classNames: ["a", "b", "c"], train: images, test: images)
        var c = RunConfiguration()
        (c.encoder, c.head, c.batch, c.steps) = (ResNet(.resnet10, width: 0.0625), [], 4, 1)
        (c.contamination, c.normal, c.holdOut) = (0.2, "b", 0)
        let split = try c.split(dataset)
        c.labeledNormals = 9
        let clean = try c.split(dataset)
        #expect(split.train == clean.train && split.train.count == 25)
        #expect(try split.cleanNormals(9) == clean.detectorFit)
        #expect(throws: OCCError.self) { try split.cleanNormals(21) }
        c.labeledNormals = nil
        let model = try OneClassModel.fit(split, configuration: c)
        let fit = try KernelDensity().fit(model.features(of: clean.detectorFit))
        let expected = try RankingMetrics(
            scores: fit.scores(model.features(of: split.test)), labels: split.testLabels)
        #expect(
            try model.auroc(of: [KernelDensity()], on: split, cleanNormals: 9) == ["kde": expected.auroc])
        #expect(try model.auroc(of: [KernelDensity()], on: split)["kde"] != expected.auroc)
    }
}
