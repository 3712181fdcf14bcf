import Foundation
import OCCDetectors

/// The figures of Sohn et al. whose curves are over a setting.
extension Experiment {
    static let sohn = "Sohn et al., ICLR 2021"

    /// The representations of Table 7 that are trained, by name: for people, and their settings.
    static let representations: [String: (title: String, settings: [String: String])] = [
        "random": ("Random weights", ["method": "rotation"]),
        "imagenet": (
            "ResNet-50 (ImageNet)",
            [
                "method": "rotation", "encoder": "resnet50", "width": "1", "stem": "large",
                "normalize": "imagenet",
            ]
        ),
        "rotnet": ("RotNet", ["method": "rotation", "head": "none"]),
        "denoising": ("Denoising", ["method": "denoising", "head": "none"]),
        "rotation": ("Rotation prediction", ["method": "rotation"]),
        "contrastive": ("Contrastive", ["method": "contrastive"]),
        "da-contrastive": ("Contrastive (DA)", ["method": "da-contrastive"]),
    ]

    /// The points of some representations' curves.
    ///
    /// - Parameter published: the representation of Table 7 that the model at a place is; nil for none.
    static func points(
        _ names: [String], over values: [Double], measures: [ProtocolMeasure],
        published: (String, Double) -> String?, settings: (String, Double) -> [String: String]
    ) -> [Row] {
        names.flatMap { name in
            let (title, own) = representations[name]!
            return values.map { value in
                Row(
                    title, name, x: (value, String(format: "%g", value)),
                    own.merging(settings(name, value)) { $1 }, measures: measures,
                    published: published(name, value))
            }
        }
    }

    private static let shares = [0, 0.025, 0.05, 0.1]
    private static let learners = ["rotation", "contrastive", "da-contrastive"]

    private static func contaminated(_ measures: [ProtocolMeasure]) -> [Row] {
        points(learners, over: shares, measures: measures, published: { $1 == 0 ? $0 : nil }) {
            ["contamination": String(format: "%g", $1)]
        }
    }

    private static let shareAxis = Axis(
        name: "outliers among the training images", unit: " %", factor: 100, isLogarithmic: false)
    private static let unknownShares =
        "The paper's shares of outliers, and its values but for clean images, are not known here."

    static let curves = [
        contamination, labeledNormals, augmentations, batchSize, projectionHead,
    ]

    private static let contamination = Experiment(
        "contamination", "AUROC against the share of outliers among the training images.",
        source: "\(sohn), figure on unsupervised learning", data: .classes,
        rows: contaminated([.detector(KernelDensity())]), axis: shareAxis,
        claims: [
            Claim(
                "Outliers among the training images cost rotation prediction less than contrastive learning",
                source: "the authors' slides",
                [
                    .init(1, "rotation-0.1", "kde"), .init(-1, "rotation-0", "kde"),
                    .init(-1, "contrastive-0.1", "kde"), .init(1, "contrastive-0", "kde"),
                ])
        ], remarks: [unknownShares])

    /// How many normal images are known to be normal.
    static let cleanCount = 50
    private static let onClean = ProtocolMeasure.detector(KernelDensity(), cleanNormals: cleanCount)

    private static let labeledNormals = Experiment(
        "labeled-normals",
        "AUROC against the share of outliers, with the classifier fitted on \(cleanCount) clean normal images.",
        source: "\(sohn), figure on semi-supervised learning", data: .classes,
        rows: contaminated([onClean, .detector(KernelDensity())]), axis: shareAxis,
        claims: [
            .better(
                "With \(cleanCount) clean normal images, contrastive learning (DA) on contaminated images is better than "
                    + "rotation prediction", source: "the authors' slides",
                ("da-contrastive-0.1", onClean.column), than: ("rotation-0.1", onClean.column)),
            Claim(
                "Its lead grows with the share of outliers", source: "the authors' slides",
                [
                    .init(1, "da-contrastive-0.1", onClean.column), .init(-1, "rotation-0.1", onClean.column),
                    .init(-1, "da-contrastive-0", onClean.column), .init(1, "rotation-0", onClean.column),
                ]),
        ],
        remarks: [
            unknownShares,
            "The slides say 'contrastive'; that they mean the distribution-augmented form is our reading.",
        ])

    private static let augmentations = Experiment(
        "augmentations",
        "AUROC against the number of geometric transformations that augment the distribution.",
        source: "\(sohn), Figure 7",
        rows: points(
            ["da-contrastive"], over: (1...8).map(Double.init),
            measures: [.detector(KernelDensity()), .detector(OneClassSVM(kernel: .rbf))],
            published: { _, _ in nil },
            settings: {
                [
                    "distribution-augmentation": String(format: "%g", $1),
                    // The flip is a transformation here, and no augmentation besides.
                    "augment": "cnr0.5+jitter_b0.4_c0.4_s0.4_h0.4+gray0.2",
                ]
            }),
        axis: Axis(name: "geometric transformations", unit: "", factor: 1, isLogarithmic: false),
        claims: [
            Claim(
                "Augmenting the distribution helps: the mean of 2 to 8 transformations is above that of none but the identity",
                source: "the abstract",
                [.init(-1, "da-contrastive-1", "kde")]
                    + (2...8).map { .init(1.0 / 7, "da-contrastive-\($0)", "kde") })
        ],
        remarks: [
            "In order: identity, and it flipped; a quarter turn, and it flipped; and so on. The values of Figure 7 are not known here."
        ])

    private static let batchSize = Experiment(
        "batch-size", "AUROC of contrastive learning against the number of pairs to a step.",
        source: "\(sohn), figure on the batch size",
        rows: points(
            ["contrastive", "da-contrastive"], over: (3...9).map { Double(1 << $0) },
            measures: [.detector(KernelDensity())], published: { $1 == 32 ? $0 : nil },
            settings: { ["batch": String(format: "%g", $1)] }),
        axis: Axis(name: "pairs to a step", unit: " pairs", factor: 1, isLogarithmic: true),
        claims: ["contrastive", "da-contrastive"].map { name in
            .better(
                "Batches of 32 pairs are better than of 512: \(representations[name]!.title)",
                source: "the authors' slides", ("\(name)-32", "kde"), than: ("\(name)-512", "kde"))
        },
        remarks: [
            "The paper's batch sizes, and its values but for 32 pairs, are not known here. By epochs, larger batches take "
                + "fewer steps; --steps gives all the same."
        ])

    private static let projectionHead = Experiment(
        "projection-head", "AUROC against the number of layers of the projection head.",
        source: "\(sohn), figure on the depth of the head",
        rows: points(
            learners, over: [0, 1, 2, 4, 8], measures: [.detector(KernelDensity())],
            published: { $1 == 8 ? $0 : $0 == "rotation" && $1 == 0 ? "rotnet" : nil },
            settings: { name, depth in
                let layers = depth == 0 ? [] : [String(format: "512x%g", depth)]
                let last = name == "rotation" ? [] : ["128"]
                let widths = layers + last
                return ["head": widths.isEmpty ? "none" : widths.joined(separator: ",")]
            }),
        axis: Axis(name: "layers of 512 in the head", unit: " x 512", factor: 1, isLogarithmic: false),
        claims: [
            .better(
                "A head of 8 layers helps rotation prediction", source: "Table 7", ("rotation-8", "kde"),
                than: ("rotation-0", "kde"))
        ],
        remarks: [
            "The paper's values are known here for 8 layers, and of rotation prediction without any (RotNet)."
        ])
}
