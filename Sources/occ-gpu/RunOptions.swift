import OCCCommandLine
import OneClass

/// The options that make a `RunConfiguration`, shared by train, protocol and plan.
enum RunOptions {
    static let options = configurationOptions + deviceOptions

    private static let configurationOptions = [
        Option("config", "FILE", "Start from a config.json; other options override it."),
        Option("data", "PATH", "A data set's folder, or builtin:shapes (the default)."),
        Option("normal", "CLASS", "The normal class, by index or name."),
        Option("image-size", "PIXELS", "32, 64, 128 or 256."),
        Option("hold-out", "SHARE", "Normal training images kept for the threshold (0.1)."),
        Option("contamination", "SHARE", "Outliers mixed into the training images (0)."),
        Option("labeled-normals", "N", "Fit the detector on N clean normal images only."),
        Option("max-unreadable", "SHARE", "Unreadable image files to put up with (0.01)."),
        Option("max-train", "N", "Use at most N training images."),
        Option("max-test", "N", "Use at most N test images."),
        Option(
            "method", "NAME",
            "rotation, contrastive, da-contrastive, denoising, cutpaste, cutpaste-scar or cutpaste-3way."),
        Option("encoder", "NAME", "resnet10, resnet18 (the default), resnet34 or resnet50."),
        Option("width", "FACTOR", "Multiplies the encoder's widths (1)."),
        Option("head", "WIDTHS", "Projection head, such as 512x8,128, or none."),
        Option(
            "augment", "RECIPE", "Such as cnr0.5+hflip+jitter_b0.4_c0.4_s0.4_h0.4+gray0.2+blur0.5, or none."),
        Option("temperature", "T", "Of the contrastive loss (0.2)."),
        Option("contrastive-form", "NAME", "cross-view (the default) or symmetric."),
        Option(
            "distribution-augmentation", "NAME", "da-contrastive: rot (the default), hflip, vflip or 1...8."),
        Option("noise", "SIGMA", "denoising: deviation of the noise (0.1)."),
        Option("patch", "PIXELS", "Learn from patches and localise: 16, 32, 64 or 128 (whole images)."),
        Option("stride", "PIXELS", "Between the patches of a scored image (an eighth of --patch)."),
        Option(
            "locations", "HOW",
            "One detector for all patches: shared (the default), or one for each place: each."),
        Option("batch", "N", "Images, or pairs (contrastive), to a step."),
        Option("steps", "N", "Optimiser steps; overrides --epochs."),
        Option("epochs", "N", "Passes over the training images (2048)."),
        Option("optimizer", "NAME", "sgd (the default) or lars."),
        Option("learning-rate", "RATE", "At the start of the cosine (0.01; 0.03 for cutpaste)."),
        Option("schedule", "NAME", "cosine (the default) or constant."),
        Option("warmup", "STEPS", "Linear warm-up (0)."),
        Option("momentum", "M", "(0.9)"),
        Option("nesterov", nil, "Nesterov's momentum."),
        Option("weight-decay", "L2", "(0.0003; 0.00003 for cutpaste)"),
        Option("seed", "N", "Of everything random (1)."),
        Option(
            "math", "MODE",
            "fast (the default), strict, which rounds less, or bf16, which rounds more on a GPU."),
        Option("detector", "NAME", "kde (the default), gaussian, ocsvm-rbf, ocsvm-linear, svdd or knn."),
        Option("nu", "SHARE", "ocsvm and svdd (0.5)."),
        Option("gamma", "G", "RBF width; by default 10 / (D variance)."),
        Option("neighbours", "K", "knn (1)."),
        Option("shrinkage", "SHARE", "gaussian: of a sphere in the covariance; -1 for Ledoit and Wolf's."),
        Option("false-alarm-rate", "SHARE", "That the threshold promises (0.01)."),
    ]

    static let deviceOptions = [
        Option("device", "NAME", "auto (the default: a GPU where there is one), cpu, cuda or cuda:N."),
        Option("threads", "N", "CPU threads; 0, the default, for one a core."),
    ]

    static func configuration(_ arguments: Arguments) throws -> RunConfiguration {
        var c = RunConfiguration()
        if let path = arguments["config"] { c = try RunConfiguration(json: try readFile(path), name: path) }
        func set<T: LosslessStringConvertible>(_ name: String, _ key: WritableKeyPath<RunConfiguration, T>)
            throws
        {
            if let value = try arguments.value(name, as: T.self) { c[keyPath: key] = value }
        }
        func set<T: LosslessStringConvertible>(_ name: String, _ key: WritableKeyPath<RunConfiguration, T?>)
            throws
        {
            if let value = try arguments.value(name, as: T.self) { c[keyPath: key] = value }
        }
        func choose<T: RawRepresentable & CaseIterable>(
            _ name: String, _ key: WritableKeyPath<RunConfiguration, T>
        ) throws where T.RawValue == String {
            if let value = try arguments.value(name, as: T.self) { c[keyPath: key] = value }
        }
        try set("data", \.data)
        try set("normal", \.normal)
        try set("image-size", \.imageSize)
        try set("hold-out", \.holdOut)
        try set("contamination", \.contamination)
        try set("labeled-normals", \.labeledNormals)
        try set("max-unreadable", \.maxUnreadable)
        try set("max-train", \.maxTrain)
        try set("max-test", \.maxTest)
        try choose("method", \.method)
        if arguments["method"] != nil, c.method.isCutPaste { c.adoptCutPasteTraining() }
        try choose("encoder", \.encoder)
        try set("width", \.width)
        if let head = try arguments.integers("head") { c.head = head }
        try set("augment", \.augment)
        try set("temperature", \.temperature)
        try choose("contrastive-form", \.contrastiveForm)
        try set("distribution-augmentation", \.distributionAugmentation)
        try set("noise", \.noise)
        try set("patch", \.patch)
        try set("stride", \.stride)
        try choose("locations", \.locations)
        try set("batch", \.batch)
        try set("steps", \.steps)
        try set("epochs", \.epochs)
        if arguments["epochs"] != nil, arguments["steps"] == nil { c.steps = nil }
        try choose("optimizer", \.optimizer.kind)
        try set("learning-rate", \.schedule.peak)
        try choose("schedule", \.schedule.kind)
        try set("warmup", \.schedule.warmupSteps)
        try set("momentum", \.optimizer.momentum)
        if arguments.has("nesterov") { c.optimizer.nesterov = true }
        try set("weight-decay", \.optimizer.weightDecay)
        try set("seed", \.seed)
        try choose("math", \.math)
        try choose("detector", \.detector)
        try set("nu", \.detectorOptions.nu)
        try set("gamma", \.detectorOptions.gamma)
        try set("neighbours", \.detectorOptions.neighbours)
        try set("shrinkage", \.detectorOptions.shrinkage)
        try set("false-alarm-rate", \.falseAlarmRate)
        try c.validate()
        return c
    }

    static func device(_ arguments: Arguments) throws -> Device {
        let threads = try arguments.value("threads", as: Int.self) ?? 0
        guard (0...256).contains(threads) else {
            throw OCCError(.usage, "--threads \(threads) is outside 0...256")
        }
        return try .choose(arguments["device"], threads: threads, notice: say)
    }
}
