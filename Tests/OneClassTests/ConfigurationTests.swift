import Foundation
import OCCEngine
import OneClass
import TestSupport
import Testing

@Suite struct ConfigurationTests {
    /// A covariance beyond any memory is refused by its bytes; a row's worth of it is not.
    @Test func detectorsBeyondMemoryAreRefused() throws {
        var c = RunConfiguration()
        c.detector = GaussianDensity()
        let error = #expect(throws: OCCError.self) {
            try c.checkFit(images: 10, grid: nil, columns: 10_000_000)
        }
        #expect(error?.kind == .deviceUnavailable)
        #expect(error?.message.contains("gaussian: 10 rows of 10000000 features need") == true)
        #expect(error?.remedy?.contains("kde") == true)
        #expect(throws: Never.self) { try c.checkFit(images: 10, grid: nil, columns: 64) }
        c.detector = KernelDensity()
        #expect(throws: Never.self) { try c.checkFit(images: 10, grid: nil, columns: 100_000) }
    }

    private static func read(_ text: String) throws -> RunConfiguration {
        try RunConfiguration(json: Array(text.utf8), name: "config.json")
    }

    @Test func survivesARoundTrip() throws {
        var c = RunConfiguration()
        c.normal = "cat"
        c.head = [512, 128]
        c.method = Contrastive.distributionAugmented
        c.optimizer = .lars
        c.warmup = 7
        c.seed = .max
        c.detector = KernelDensity(gamma: 0.25)
        c.steps = 12
        #expect(try Self.read(try c.json(pretty: true)) == c)
        #expect(try Self.read("{}") == RunConfiguration())
        let other = try Self.read(#"{"detector":"gaussian","ridge":0.5,"method":"cutpaste"}"#)
        #expect((other.detector as? GaussianDensity)?.ridge == 0.5)
        #expect(other.resolved.weightDecay == 3e-5)
        #expect(try JSONDecoder().decode(RunConfiguration.self, from: JSONEncoder().encode(c)) == c)
    }

    @Test(arguments: [
        (#"{"widht":1}"#, "width"), (#"{"momentun":0.9}"#, "momentum"),
        (#"{"steps":"many"}"#, "steps"), (#"{"method":"rotate"}"#, "method"), (#"{"width":null}"#, "width"),
        ("[1]", "JSON"), ("", "JSON"), (#"{"optimizer":3}"#, "optimizer"),
        (#"{"temperature":0.1}"#, "contrastive"),
        (#"{"width":0}"#, "0.01 to 8"), (#"{"detector":"svm"}"#, "ocsvm-rbf"),
    ])
    func mistakesAreNamed(_ text: String, _ word: String) {
        let error = #expect(throws: OCCError.self) { try Self.read(text) }
        #expect(error?.kind == .badData)
        #expect(error?.message.hasPrefix("config.json") == true)
        #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
    }

    @Test func damagedFilesAreErrors() throws {
        let result = fuzz(Array(try RunConfiguration().json(pretty: true).utf8), name: "config.json") {
            _ = try RunConfiguration(json: $0, name: "config.json")
        }
        #expect(result.failures == [])
        #expect(result.refused > 1000)
    }

    @Test func differencesAreNamed() throws {
        var c = RunConfiguration()
        c.momentum = 0.8
        c.normal = "3"
        #expect(c.differences(from: RunConfiguration()) == ["momentum", "normal"])
        #expect(c.differences(from: c) == [])
    }

    @Test func impossibleSettingsAreErrors() {
        func check(_ set: (inout RunConfiguration) -> Void) {
            var c = RunConfiguration()
            set(&c)
            let error = #expect(throws: OCCError.self) { try c.validate() }
            #expect(error?.kind == .usage)
        }
        check { $0.encoder = ResNet(width: 0) }
        check { $0.encoder = ResNet(width: .nan) }
        check { $0.batch = 1 }
        check { $0.steps = -1 }
        check { c in
            var method = Contrastive()
            method.temperature = 0
            c.method = method
        }
        check { $0.learningRate = .infinity }
        check { $0.detector = OneClassSVM(kernel: .rbf, nu: 0) }
        check { $0.falseAlarmRate = 1 }
        check { ($0.calibration, $0.folds) = (.cross, 1) }
        check { ($0.calibration, $0.holdOut) = (.cross, 0.1) }
        check { ($0.method, $0.head) = (Contrastive(), []) }
        check { c in
            var method = Contrastive.distributionAugmented
            method.distributionAugmentation = "9"
            c.method = method
        }
        check { $0.locations = .each }
        check { $0.augment = "blurry" }
        check { $0.contamination = 0.9 }
    }

    /// A detector with a setting of a name that is chosen elsewhere.
    private struct Named<Other: Sendable>: Detector {
        var value = 1.0
        let name = "named"
        let summary = "Has one setting."
        static var settings: [Setting<Named<Other>>] {
            [
                Setting(
                    Other.self == Int.self ? "batch" : "width", \Named<Other>.value, "N",
                    range: .within(0...9), "A number.")
            ]
        }
        func fit(_ features: FeatureMatrix) throws -> any OneClassClassifier {
            try KernelDensity().fit(features)
        }
        func restore(_ state: DetectorState) throws -> any OneClassClassifier {
            try KernelDensity().restore(state)
        }
    }

    /// One of the run's names, and one of the encoder's.
    @Test func settingsOfOneNameAreRefused() {
        var c = RunConfiguration()
        for detector in [Named<Int>(), Named<Double>()] as [any Detector] {
            c.detector = detector
            let error = #expect(throws: OCCError.self) { try c.validate() }
            #expect(error?.kind == .usage)
            #expect(error?.message.contains("named") == true)
        }
    }

    /// Another method on a finished run's file: the old method's own choices do not stay behind, a person's do.
    @Test func anotherMethodBringsItsOwnChoices() throws {
        var c = RunConfiguration()
        (c.method, c.batch) = (CutPastePrediction(.rectangle), 12)
        var other = try Self.read(try c.resolved.json())
        try ChosenComponent.all[1].choose(&other, "contrastive")
        #expect(other.resolved.learningRate == 0.01)
        #expect(other.resolved.head == Contrastive().defaults.headWidths)
        #expect(other.resolved.batch == 12)
    }

    @Test func nearestMatchesHelp() {
        #expect(nearestMatch(to: "widht", in: ["width", "height", "steps"]) == "width")
        #expect(nearestMatch(to: "zzzzzz", in: ["width", "height"]) == nil)
    }

    /// An epoch's steps are known once the images are.
    @Test func runsThatNeverEndAreRefused() throws {
        var c = RunConfiguration()
        (c.encoder, c.batch, c.epochs) = (ResNet(.resnet10, width: 0.0625), 2, 1_000_000)
        let device = try Device.cpu()
        let error = #expect(throws: OCCError.self) {
            try TrainingPlan(c, images: 10_000, side: 32, device: device)
        }
        #expect(error?.kind == .usage)
        #expect(error?.message.contains("epochs") == true)
        c.epochs = 1000
        #expect(try TrainingPlan(c, images: 10_000, side: 32, device: device).totalSteps == 5_000_000)
    }

    /// PROTOCOL: one cosine from the peak to zero, optionally held for an epoch, after a linear warm-up.
    @Test func schedules() {
        var s = LearningRateSchedule()
        #expect(s.rate(step: 0, of: 100) == 0.01)
        #expect(abs(s.rate(step: 50, of: 100) - 0.005) < 1e-12)
        #expect(s.rate(step: 99, of: 100) < 1e-5)
        s.holdSteps = 10
        #expect(s.rate(step: 59, of: 100) == s.rate(step: 50, of: 100))
        #expect(s.rate(step: 60, of: 100) < s.rate(step: 59, of: 100))
        s = LearningRateSchedule()
        s.warmupSteps = 4
        #expect((0..<4).map { s.rate(step: $0, of: 100) } == [0.0025, 0.005, 0.0075, 0.01])
        #expect(s.rate(step: 4, of: 100) == 0.01)
        s.kind = .constant
        #expect(s.rate(step: 90, of: 100) == 0.01)
        (s.kind, s.milestones) = (.milestones, [50, 80])
        #expect((0..<4).map { s.rate(step: $0, of: 100) } == [0.0025, 0.005, 0.0075, 0.01])
        for (step, rate) in [(49, 1e-2), (50, 1e-3), (79, 1e-3), (80, 1e-4), (99, 1e-4)] {
            #expect(abs(s.rate(step: step, of: 100) / rate - 1) < 1e-12)
        }
    }

    /// The released code of Sohn et al. sets the rate once an epoch: 0.005 (1 + cos(pi epoch / 2048)). By itself a run
    /// of the method's epochs does the same on 5,000 images, and a short one keeps a 2,048th of its steps.
    @Test func theRateFallsOnceAnEpoch() {
        for (method, perEpoch) in [
            (RotationPrediction(), 78), (Contrastive(), 156), (Contrastive.distributionAugmented, 625),
        ] as [(any Method, Int)] {
            var c = RunConfiguration()
            c.method = method
            let rates = c.learningRates(images: 5000), total = 2048 * perEpoch
            for epoch in [0, 1, 1000, 2047] {
                let expected = 0.005 * (1 + cos(.pi * Double(epoch) / 2048))
                for step in [epoch * perEpoch, epoch * perEpoch + perEpoch - 1] {
                    #expect(abs(rates.rate(step: step, of: total) - expected) < 1e-15, "step \(step)")
                }
            }
            c.steps = 5000
            #expect(c.learningRates(images: 5000).holdSteps == 2)
            c.steps = 300
            #expect(c.learningRates(images: 5000).holdSteps == 1)
            c.holdSteps = 7
            #expect(c.learningRates(images: 5000).holdSteps == 7)
        }
        // The paper of CutPaste says nothing of it.
        var c = RunConfiguration()
        c.method = CutPastePrediction(.threeWay)
        #expect(c.learningRates(images: 5000).holdSteps == 1)
    }

    /// Ruff et al.'s code for CIFAR-10: 150 epochs with a tenth of the rate after 50, its auto-encoder 350 and 250, in
    /// batches of 200. What a person gives is in epochs of the run.
    @Test func milestonesAreEpochs() throws {
        var c = RunConfiguration()
        for (method, milestone, epochs) in [("deep-svdd", 50, 150), ("autoencoder", 250, 350)] {
            c.method = try Methods.registry.entry(method)
            let rates = c.learningRates(images: 5000), total = c.totalSteps(images: 5000)
            #expect(total == 25 * epochs && rates.kind == .milestones)
            #expect(rates.rate(step: 25 * milestone - 1, of: total) == 1e-4)
            #expect(abs(rates.rate(step: 25 * milestone, of: total) / 1e-5 - 1) < 1e-12)
            c.steps = 300
            #expect(c.learningRates(images: 5000).milestones == [300 * milestone / epochs])
            c.milestones = EpochNumbers([3, 9])
            #expect(c.learningRates(images: 5000).milestones == [75, 225])
            (c.steps, c.milestones) = (nil, nil)
        }
        #expect(
            try Self.read(#"{"schedule":"milestones","milestones":[2,5]}"#).milestones?.numbers == [2, 5])
        #expect(EpochNumbers(text: "50,100")?.numbers == [50, 100])
        for text in ["", "none", "100,50", "5,5", "0", "2x3", "1.5"] {
            #expect(EpochNumbers(text: text) == nil)
        }
        // Milestones that nothing looks at, or that the run does not reach, and a schedule without any.
        c = RunConfiguration()
        c.milestones = EpochNumbers([5])
        let ignored = #expect(throws: OCCError.self) { try c.validate() }
        #expect(ignored?.remedy?.contains("schedule") == true)
        c.schedule = .milestones
        #expect(throws: Never.self) { try c.validate() }
        // 200 images are three steps of 64 to an epoch: the fifth epoch ends with the 15th step.
        (c.batch, c.steps) = (64, 15)
        #expect(c.lateMilestone(images: 200)?.contains("milestone 5") == true)
        c.steps = 16
        #expect(c.lateMilestone(images: 200) == nil)
        c.milestones = nil
        let error = #expect(throws: OCCError.self) { try c.validate() }
        #expect(error?.kind == .usage && error?.remedy?.contains("milestones") == true)
    }

    /// Tack et al.'s code: ten of 1,000 epochs of linear warm-up; a hundredth of a shorter run.
    @Test func shiftedInstancesWarmUp() throws {
        var c = RunConfiguration()
        c.method = ContrastingShiftedInstances()
        let perEpoch = 5000 / c.method.defaults.batch, rates = c.learningRates(images: 5000)
        #expect(rates.warmupSteps == 10 * perEpoch)
        #expect(rates.rate(step: 10 * perEpoch - 1, of: c.totalSteps(images: 5000)) == rates.peak)
        c.steps = 500
        #expect(c.learningRates(images: 5000).warmupSteps == 5)
        c.warmup = 0
        #expect(c.learningRates(images: 5000).warmupSteps == 0)
    }

    /// CutPaste counts steps, 256 epochs of 256 whatever there are of images (Li et al., appendix A.1); epochs that a
    /// person gives are passes.
    @Test func cutPasteCountsSteps() throws {
        var c = RunConfiguration()
        c.method = CutPastePrediction(.threeWay)
        for images in [60, 391] { #expect(c.totalSteps(images: images) == 65_536) }
        #expect(c.resolved.steps == 65_536 && c.resolved.resolved == c.resolved)
        c.epochs = 3
        #expect(c.totalSteps(images: 209) == 18 && c.resolved.steps == nil)
        var other = try Self.read(#"{"method":"cutpaste","steps":65536}"#)
        try ChosenComponent.all[1].choose(&other, "rotation")
        #expect(other.steps == nil)
    }

    /// The paper's numbers of steps: 5,000 images of one CIFAR-10 class (90 % of it trains here by default).
    @Test func epochsCountAsInThePaper() throws {
        var c = RunConfiguration()
        #expect(c.totalSteps(images: 5000) == 159_744)
        c.method = Contrastive()
        #expect(c.totalSteps(images: 5000) == 319_488)
        c.method = Contrastive.distributionAugmented
        #expect(c.totalSteps(images: 5000) == 1_280_000)
        c.method = GeometricTransformations()
        #expect(c.totalSteps(images: 5000) == 8_436)
    }
}
