import OCCDetectors

/// Every system that the papers compare with or build on, at one budget.
extension Experiment {
    private static let own = ProtocolMeasure.detector(OwnScore())
    private static let density = ProtocolMeasure.detector(KernelDensity())
    private static let upright = ProtocolMeasure.classifier("upright")

    /// The small network of Deep SVDD, and a rate at which Adam gets somewhere in a few hundred steps.
    private static func small(_ settings: [String: String]) -> [String: String] {
        settings.merging(["encoder": "lenet", "batch": "64", "learning-rate": "0.001", "head": "none"]) { $1 }
    }

    /// Deep SVDD with a decay that brings the collapse of a network with biases about.
    private static func decaying(_ settings: [String: String]) -> [String: String] {
        small(settings).merging([
            "optimizer": "sgd", "schedule": "cosine", "learning-rate": "0.002", "weight-decay": "1",
        ]) { $1 }
    }

    private static func system(
        _ title: String, _ name: String, _ settings: [String: String], _ measures: [ProtocolMeasure],
        mayCollapse: Bool = false
    ) -> Row {
        Row(title, name, settings, measures: measures, mayCollapse: mayCollapse, isPublished: false)
    }

    static let systems = Experiment(
        "systems", "Every system by name, each at the same number of steps.",
        source: "no paper: our own comparison",
        rows: [
            system("Auto-encoder", "autoencoder", small(["method": "autoencoder"]), [own]),
            system("DAGMM", "dagmm", small(["method": "dagmm"]), [own]),
            system(
                "RealNVP", "flow", ["method": "flow", "batch": "16", "flow-filters": "16", "head": "none"],
                [own]),
            system("Deep SVDD", "deep-svdd", decaying(["method": "deep-svdd"]), [own]),
            system(
                "Deep SVDD, soft boundary", "deep-svdd-soft",
                small(["method": "deep-svdd-soft", "radius-epochs": "1"]), [own]),
            system(
                "Deep SVDD with biases", "deep-svdd-biases",
                decaying(["method": "deep-svdd", "biases": "true"]), [own], mayCollapse: true),
            system(
                "Geometric transformations", "geometric", ["method": "geometric"], [.classifier("simple")]),
            system("Rotation prediction", "rotation", rotating("rotation"), [upright, density]),
            system(
                "Rotation prediction, outliers exposed", "rotation-exposed", rotating("rotation-exposed"),
                [upright, density]),
            system(
                "Outlier exposure", "outlier-exposure", ["method": "outlier-exposure", "batch": "16"], [own]),
            system(
                "Denoising", "denoising", ["method": "denoising", "batch": "32", "head": "none"], [density]),
            system("Contrastive", "contrastive", ["method": "contrastive", "head": "128"], [density]),
            system(
                "Contrastive (DA)", "da-contrastive", ["method": "da-contrastive", "head": "128"], [density]),
            system("CSI", "csi", shifting, [own]),
            system("CSI, kernel density", "csi-kde", shifting, [density]),
            system("CutPaste", "cutpaste", ["method": "cutpaste-3way", "batch": "16"], [density]),
        ],
        defaults: [
            "encoder": "resnet18", "width": "0.25", "steps": "300", "outliers": "builtin:surface",
        ],
        claims: [
            .better(
                "Deep SVDD is better than its twin with biases, whose sphere collapses",
                source: "Ruff et al., ICML 2018, proposition 2", ("deep-svdd", own.column),
                than: ("deep-svdd-biases", own.column)),
            .better(
                "Exposing outliers helps the rotation classifier",
                source: "Hendrycks et al., NeurIPS 2019", ("rotation-exposed", upright.column),
                than: ("rotation", upright.column)),
            Claim(
                "CSI is better than contrastive learning (DA)", source: "Tack et al., NeurIPS 2020, table 1",
                [.init(1, "csi", own.column), .init(-1, "da-contrastive", density.column)]),
            .better(
                "Augmenting the distribution helps contrastive learning", source: "\(sohn), Table 7",
                ("da-contrastive", density.column), than: ("contrastive", density.column)),
        ],
        remarks: [
            "Deep SVDD and its twin with biases are trained by gradient descent with a weight decay of 1, which brings the "
                + "collapse about. A run whose features are one point stops, and is at chance: 50.",
            "Batches, heads and the rates of the small network are for a few hundred steps on a CPU: not what each "
                + "source has.",
            "The exposed outliers are built-in pictures of cloth, unless outliers names another data set.",
        ])

    /// Four rotations of 16 images a step.
    private static func rotating(_ method: String) -> [String: String] {
        ["method": method, "batch": "16", "head": "512"]
    }

    /// Four rotations in two views of 8 images a step: as many views as the contrastive rows have.
    private static let shifting = [
        "method": "csi", "batch": "8", "optimizer": "sgd", "learning-rate": "0.01",
    ]
}
