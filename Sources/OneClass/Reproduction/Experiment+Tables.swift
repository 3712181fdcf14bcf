import OCCDetectors

/// The tables of Sohn et al.
extension Experiment {
    private static let linear = ProtocolMeasure.detector(OneClassSVM(kernel: .linear))
    private static let kernel = ProtocolMeasure.detector(OneClassSVM(kernel: .rbf))
    private static let density = ProtocolMeasure.detector(KernelDensity())
    private static let gaussian = ProtocolMeasure.detector(GaussianDensity())
    /// The two scores that the reference code computes of the rotation classifier.
    private static let classifier = [
        ProtocolMeasure.classifier("upright"), ProtocolMeasure.classifier("product"),
    ]
    private static let twoScores =
        "Which of the two scores of the classifier 'Rotation Classifier' is, the paper does not say: both are here."

    private static func row(_ name: String, _ measures: [ProtocolMeasure]) -> Row {
        let (title, settings) = representations[name]!
        return Row(
            title, name, settings, measures: measures, isUntrained: ["random", "imagenet"].contains(name),
            takesWeights: name == "imagenet")
    }

    static let tables =
        [table5, table7] + classTables + [endToEnd, mlpHead]

    private static let table5 = Experiment(
        "table5", "One-class classifiers on the features of distribution-augmented contrastive learning.",
        source: "\(sohn), Table 5", rows: [row("da-contrastive", [linear, kernel, density, gaussian])],
        claims: [
            .better(
                "The RBF kernel is better than the linear one", source: "Table 5",
                ("da-contrastive", kernel.column), than: ("da-contrastive", linear.column),
                datasets: ["CIFAR-10", "CIFAR-100", "Fashion-MNIST", "Cat-vs-Dog"]),
            .better(
                "The Gaussian is better than kernel density on faces", source: "Table 5",
                ("da-contrastive", gaussian.column), than: ("da-contrastive", density.column),
                datasets: ["CelebA"]),
        ])

    private static let table7 = Experiment(
        "table7", "Representations and one-class classifiers.", source: "\(sohn), Table 7",
        rows: [
            row("random", [linear, kernel, density]), row("imagenet", [linear, kernel, density]),
            row("rotnet", classifier + [density]),
            row("denoising", [linear, kernel, density]), row("rotation", [linear, kernel, density]),
            row("contrastive", [linear, kernel, density]), row("da-contrastive", [linear, kernel, density]),
        ], claims: [twoStages, headHelps, augmentationHelps],
        remarks: [
            twoScores,
            "ResNet-50 with ImageNet's weights is a row where they are given (weights); how the paper enlarges images for it is "
                + "not known here.",
            "How the paper's denoising autoencoder is made is not known here.",
        ])

    private static let twoStages = Claim.better(
        "Two stages are better than the classifier's own score", source: "Table 7",
        ("rotnet", density.column), than: ("rotnet", classifier[0].column))
    private static let headHelps = Claim.better(
        "A projection head helps rotation prediction", source: "Table 7", ("rotation", density.column),
        than: ("rotnet", density.column), datasets: ["CIFAR-10", "CIFAR-100", "Fashion-MNIST"])
    private static let augmentationHelps = Claim.better(
        "Augmenting the distribution helps contrastive learning", source: "Table 7",
        ("da-contrastive", density.column), than: ("contrastive", density.column))

    /// Tables 8 to 11, a data set each.
    private static let classTables = PublishedValues.classTables.sorted { $0.value.number < $1.value.number }
        .map { dataset, table in
            Experiment(
                "table\(table.number)", "Every class of \(dataset).",
                source: "\(sohn), Table \(table.number)",
                data: .named(dataset),
                rows: [
                    row("rotnet", classifier + [density]), row("denoising", [kernel, density]),
                    row("rotation", [kernel, density]), row("contrastive", [kernel, density]),
                    row("da-contrastive", [kernel, density]),
                ], showsClasses: true, claims: [twoStages, augmentationHelps], remarks: [twoScores])
        }

    private static let endToEnd = Experiment(
        "end-to-end", "The rotation classifier's own score against a classifier on its features.",
        source: "\(sohn), Tables 2 and 7",
        rows: [
            row("rotnet", classifier + [density]),
            Row(
                "Rotation prediction", "rotation", representations["rotation"]!.settings,
                measures: classifier + [density]),
        ],
        claims: [
            twoStages,
            .better(
                "The same with a projection head", source: "Table 7", ("rotation", density.column),
                than: ("rotation", classifier[0].column)),
        ], remarks: [twoScores])

    private static let mlpHead = Experiment(
        "mlp-head", "Rotation prediction with and without a projection head.",
        source: "\(sohn), Tables 2 and 7",
        rows: [row("rotnet", [kernel, density]), row("rotation", [kernel, density])], claims: [headHelps])
}
