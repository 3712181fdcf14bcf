import OCCDetectors

/// What both papers show of MVTec AD, and the pictures.
extension Experiment {
    /// The categories whose objects lie alike in every image, so that each place has a Gaussian of its own (Li et al.,
    /// A.5).
    private static let aligned: Set<String> = [
        "bottle", "cable", "capsule", "metal_nut", "pill", "toothbrush", "transistor", "zipper",
    ]

    private static let unknownOfSohn =
        "On MVTec AD the paper learns from patches of 32 x 32. Its stride, its steps and how it scores an image are not "
        + "known here: these are our reading, after Li et al."

    private static func patches(_ names: [String]) -> [Row] {
        names.map { name in
            let (title, settings) = representations[name]!
            return Row(title, name, settings, measures: [.patchImages, .pixels])
        }
    }

    private static let patchDefaults = ["image-size": "256", "patch": "32", "stride": "8"]

    static let defects = Experiment(
        "mvtec", "Detection and localization of defects by patches.", source: "\(sohn), table on MVTec AD",
        data: .categories, rows: patches(["rotnet", "rotation", "contrastive", "da-contrastive"]),
        showsClasses: true, defaults: patchDefaults,
        claims: [
            .better(
                "Augmenting the distribution helps contrastive learning find defects",
                source: "the authors' slides",
                ("da-contrastive", ProtocolMeasure.patchImages.column),
                than: ("contrastive", ProtocolMeasure.patchImages.column)),
            .better(
                "A projection head helps rotation prediction find defects", source: "the authors' slides",
                ("rotation", ProtocolMeasure.patchImages.column),
                than: ("rotnet", ProtocolMeasure.patchImages.column)),
            .better(
                "Rotation prediction outlines defects better than contrastive learning (DA)",
                source: "the authors' slides", ("rotation", ProtocolMeasure.pixels.column),
                than: ("da-contrastive", ProtocolMeasure.pixels.column)),
        ],
        remarks: [
            unknownOfSohn,
            "The classifier's own score (71.0 % of images, 75.6 % of pixels in the slides) is no row here: models of patches have none.",
        ])

    private static let li = "Li et al., CVPR 2021"
    /// Of all models: 256 epochs of 256 steps.
    private static let cutPasteDefaults = ["image-size": "256", "steps": "65536"]

    private static func cutPasteRow(_ title: String, _ name: String, _ settings: [String: String]) -> Row {
        Row(title, name, settings, measures: [.detector(GaussianDensity())])
    }

    static let cutPaste = Experiment(
        "cutpaste", "Detection of defects by whole images.", source: "\(li), Table 1", data: .categories,
        rows: [
            cutPasteRow(
                "Rotation prediction", "cutpaste-rotation",
                ["method": "rotation", "learning-rate": "0.03", "weight-decay": "3e-5", "batch": "32"]),
            cutPasteRow("CutPaste", "cutpaste", ["method": "cutpaste"]),
            cutPasteRow("CutPaste (scar)", "cutpaste-scar", ["method": "cutpaste-scar"]),
            cutPasteRow("CutPaste (3-way)", "cutpaste-3way", ["method": "cutpaste-3way"]),
        ], showsClasses: true, defaults: cutPasteDefaults, detector: GaussianDensity(),
        claims: [
            .better(
                "Pasting parts is better than rotating", source: "Table 1", ("cutpaste", "gaussian"),
                than: ("cutpaste-rotation", "gaussian")),
            .better(
                "Three classes are better than pasted rectangles alone", source: "Table 1",
                ("cutpaste-3way", "gaussian"), than: ("cutpaste", "gaussian")),
            .better(
                "Three classes are better than scars alone", source: "Table 1", ("cutpaste-3way", "gaussian"),
                than: ("cutpaste-scar", "gaussian")),
        ],
        remarks: [
            "The paper does not say the head's widths, nor how far images are moved and recolored: these are the method's own."
        ])

    static let cutPasteLocalization = Experiment(
        "cutpaste-localization", "Localization of defects by patches.", source: "\(li), Table 2",
        data: .categories,
        rows: [
            Row(
                "CutPaste (3-way), patches", "localization", ["method": "cutpaste-3way"],
                measures: [.pixels, .patchImages])
        ], showsClasses: true,
        defaults: cutPasteDefaults.merging(["patch": "64", "score-patch": "32", "stride": "4"]) { $1 },
        detector: GaussianDensity(),
        remarks: [
            "The width of the paper's Gaussian, and how it keeps covariances of few images regular, are not known here."
        ]
    ) { category, c in c.locations = aligned.contains(category) ? .each : .shared }

    // MARK: Pictures

    static let explanations = Experiment(
        "explanations", "Which pixels raise the scores: contrastive learning (DA) and rotation prediction.",
        source: "\(sohn), figure on visual explanations",
        rows: ["da-contrastive", "rotnet"].map { name in
            let (title, settings) = representations[name]!
            let own: [ProtocolMeasure] = name == "rotnet" ? [.classifier("upright")] : []
            return Row(title, name, settings, measures: own + [.detector(KernelDensity())])
        }, pictures: .explanations,
        claims: [
            .better(
                "Two stages are better than the classifier's own score", source: "Table 7",
                ("rotnet", "kde"), than: ("rotnet", "classifier upright"))
        ],
        remarks: [
            "Integrated gradients from a black image; the paper's baseline, and its layer for Grad-CAM, are not known here."
        ])

    static let localization = Experiment(
        "localization", "Maps of where defects are.", source: "\(sohn), figure on MVTec AD",
        data: .categories,
        rows: patches(["rotation", "da-contrastive"]), showsClasses: true, defaults: patchDefaults,
        pictures: .maps, remarks: [unknownOfSohn])
}
