/// Values that Sohn et al. (ICLR 2021) and Li et al. (CVPR 2021) publish.
///
/// Those of Tables 5 and 7 to 11 of Sohn et al. are as a public reproduction report prints them (COMP6248, "LRDOCC"), those
/// on MVTec AD as the authors' slides do; those of Li et al. are from the paper. What is known against a value is its
/// remark.
public enum PublishedValues {
    /// Where the values are from, for a page that shows them.
    public static let origin =
        "Published values of Sohn et al. are as a reproduction report (COMP6248) prints Tables 5 and 7 to 11, and as the "
        + "authors' slides print MVTec AD; not from the paper itself. They are over 5 seeds; the spread of a mean "
        + "over classes is the mean of theirs."

    private static let weak = "a public reproduction did not get this value"

    /// The data sets of Table 7, in the order of its columns.
    public static let datasets = ["CIFAR-10", "CIFAR-100", "Fashion-MNIST", "Cat-vs-Dog", "CelebA"]

    /// Table 7 and, of the Gaussian, Table 5: representation, score, and the mean over the classes of each data set.
    package static let summary = """
        random ocsvm-linear 50.1±0.9 50.1±1.7 50.3±0.9 50.0±0.4 49.9±0.3
        random ocsvm-rbf 61.2±2.3 59.6±1.9 89.8±0.9 50.7±0.5 57.1±0.6
        random kde 60.5±2.4 58.7±2.2 89.4±1.0 50.8±0.6 57.3±0.8
        imagenet ocsvm-linear 67.9 71.0 77.0 61.0 58.0
        imagenet ocsvm-rbf 80.0 83.7 91.8 74.5 81.4
        imagenet kde 80.0 83.7 90.5 74.6 82.4
        rotnet classifier 86.8±0.4 80.3±0.5 87.4±1.7 86.1±0.3 51.4±3.9
        rotnet kde 89.3±0.3 81.9±0.5 94.6±0.3 86.4±0.2 77.4±1.0
        denoising ocsvm-linear 72.6±1.8 62.4±2.1 55.0±3.9 61.0±1.5 59.8±4.0
        denoising ocsvm-rbf 83.4±1.0 75.2±1.0 93.9±0.4 57.3±1.3 66.8±0.9
        denoising kde 83.5±1.0 75.2±1.0 93.7±0.4 57.3±1.3 67.0±0.7
        rotation ocsvm-linear 88.5±0.8 72.3±1.7 89.0±1.5 81.4±1.4 62.6±4.1
        rotation ocsvm-rbf 90.8±0.3 82.8±0.6 94.6±0.3 83.7±0.6 65.8±0.9
        rotation kde 91.3±0.3 84.1±0.6 95.8±0.3 86.4±0.6 69.5±1.7
        contrastive ocsvm-linear 85.6±1.2 74.9±1.4 92.3±1.1 82.8±1.1 91.7±0.7
        contrastive ocsvm-rbf 89.0±0.7 82.4±0.8 93.9±0.3 87.7±0.5 83.5±2.4
        contrastive kde 89.0±0.7 82.4±0.8 93.6±0.3 87.7±0.4 84.6±2.5
        da-contrastive ocsvm-linear 90.7±0.8 81.1±1.3 93.7±0.8 86.3±0.7 88.4±1.4
        da-contrastive ocsvm-rbf 92.5±0.6 86.5±0.7 94.8±0.3 89.6±0.5 84.5±1.1
        da-contrastive kde 92.4±0.7 86.5±0.7 94.5±0.4 89.6±0.4 85.6±0.5
        da-contrastive gaussian 92.0±0.5 86.0±0.8 95.5±0.3 88.9±0.3 90.6±0.4
        """

    /// The columns of Tables 8 to 11: representation and score.
    package static let classColumns = [
        "rotnet classifier", "rotnet kde", "denoising ocsvm-rbf", "denoising kde", "rotation ocsvm-rbf",
        "rotation kde", "contrastive ocsvm-rbf", "contrastive kde", "da-contrastive ocsvm-rbf",
        "da-contrastive kde",
    ]

    /// Tables 8 to 11: a line for each class, in the order of the data set, and last their mean.
    package static let classTables: [String: (number: Int, text: String)] = [
        "CIFAR-10": (
            8,
            """
            80.3±0.4 81.4±0.3 81.6±0.7 81.6±0.7 83.6±0.6 88.5±0.3 88.8±0.3 88.8±0.2 90.9±0.5 91.0±0.5
            91.2±0.3 96.7±0.1 92.4±0.4 92.4±0.4 96.9±0.2 97.5±0.3 97.5±0.2 97.5±0.2 98.9±0.1 98.9±0.1
            85.3±0.3 86.4±0.3 75.9±1.3 75.9±1.3 87.9±0.4 88.2±0.3 87.7±0.4 87.7±0.4 88.1±0.1 88.0±0.2
            78.1±0.3 78.9±0.3 72.3±1.9 72.3±1.9 79.0±0.6 78.3±1.0 82.0±0.4 82.1±0.4 83.1±0.8 83.2±0.9
            85.9±0.5 88.0±0.6 82.3±0.6 82.4±0.6 90.5±0.2 90.2±0.2 82.4±1.8 82.3±1.8 89.9±1.3 89.4±1.8
            86.7±0.4 88.1±0.3 83.1±0.6 83.1±0.6 89.5±0.4 88.2±0.6 89.2±0.4 89.2±0.5 90.3±1.0 90.2±1.2
            89.6±0.5 90.7±0.4 86.7±0.6 86.8±0.6 94.1±0.3 94.6±0.3 89.7±1.4 89.8±1.4 93.5±0.6 93.5±0.6
            93.3±0.6 95.7±0.3 91.2±0.4 91.2±0.4 96.7±0.1 97.0±0.1 95.6±0.2 95.6±0.2 98.2±0.1 98.1±0.1
            91.8±0.5 94.0±0.2 78.0±2.6 78.0±2.6 95.0±0.2 95.7±0.1 86.0±0.7 85.8±0.6 96.5±0.3 96.5±0.3
            86.0±0.6 93.0±0.3 91.0±0.6 91.0±0.6 94.9±0.2 94.9±0.2 90.6±0.9 90.7±0.9 95.2±1.3 95.1±1.3
            86.8±0.4 89.3±0.3 83.4±1.0 83.5±1.0 90.8±0.3 91.3±0.3 89.0±0.7 89.0±0.7 92.5±0.6 92.4±0.7
            """
        ),
        "CIFAR-100": (
            9,
            """
            77.7±0.6 79.1±0.6 74.6±0.7 74.4±0.8 77.1±0.8 78.8±0.6 79.9±1.0 79.9±1.0 83.0±1.4 82.9±1.4
            73.0±0.9 75.4±0.8 71.8±1.6 71.8±1.7 75.2±0.9 77.9±1.1 81.1±0.7 81.1±0.8 84.6±0.3 84.3±0.4
            72.9±0.6 76.1±0.7 81.4±0.5 81.4±0.5 84.4±0.3 85.7±0.4 87.4±0.4 87.5±0.4 88.5±0.6 88.6±0.6
            79.6±0.6 81.3±0.3 77.6±1.6 77.6±1.6 85.1±0.6 87.3±0.4 84.7±0.8 84.7±0.8 86.3±0.8 86.4±0.8
            78.4±0.4 80.8±0.5 76.1±1.5 76.1±1.5 81.1±0.8 84.8±0.8 89.8±0.6 89.9±0.6 92.6±0.3 92.6±0.3
            73.1±0.9 73.7±0.5 70.2±0.5 70.2±0.5 72.0±1.3 78.6±1.0 82.6±1.2 82.7±1.2 84.4±1.3 84.5±1.3
            89.8±0.5 90.4±0.4 68.5±2.4 68.4±2.3 88.6±0.3 87.5±0.4 77.0±1.6 77.0±1.6 73.4±0.9 73.4±0.9
            64.1±0.7 66.1±0.6 77.6±0.4 77.6±0.4 73.0±1.0 76.2±0.6 80.5±0.3 80.4±0.3 84.3±0.6 84.2±0.6
            83.5±0.6 85.3±0.4 81.7±0.6 81.7±0.6 87.8±0.1 86.4±0.2 85.2±0.6 85.2±0.6 87.5±0.9 87.7±0.9
            91.4±0.2 91.7±0.4 73.7±1.1 73.7±1.1 88.0±0.7 88.8±0.5 89.1±0.9 89.2±0.9 94.1±0.3 94.1±0.3
            86.1±0.6 87.0±0.6 58.6±2.2 58.5±2.2 79.5±1.1 82.4±0.7 60.0±2.0 59.8±2.0 85.1±1.1 85.2±1.1
            83.7±0.5 85.0±0.3 76.5±0.7 76.5±0.7 87.2±0.2 84.9±0.4 84.3±0.2 84.2±0.1 87.8±0.6 87.8±0.6
            82.8±0.4 84.3±0.4 79.0±1.1 79.1±1.1 85.8±0.3 85.2±0.7 84.4±0.5 84.4±0.5 82.0±1.0 82.0±1.1
            61.8±1.2 64.1±0.8 70.2±0.7 70.2±0.7 70.8±0.7 73.6±0.6 79.3±1.4 79.2±1.4 82.7±0.4 82.7±0.4
            89.7±0.3 90.3±0.2 73.1±1.0 73.1±1.0 91.3±0.3 90.2±0.6 89.1±0.7 89.1±0.6 93.4±0.2 93.4±0.2
            69.4±0.4 70.6±0.3 71.2±0.7 71.1±0.7 73.4±0.5 74.9±0.5 71.5±1.2 71.4±1.2 76.1±1.3 75.8±1.4
            78.0±0.3 79.4±0.4 74.7±1.0 74.8±1.0 79.8±0.9 80.5±0.9 79.3±0.2 79.3±0.2 80.4±0.7 80.3±0.7
            92.5±0.4 93.7±0.2 88.8±0.5 88.8±0.5 93.9±0.3 94.6±0.2 91.2±0.3 91.2±0.3 97.5±0.1 97.5±0.1
            90.8±0.3 92.5±0.3 80.3±0.7 80.2±0.7 93.4±0.3 93.1±0.1 87.4±0.3 87.2±0.3 94.4±0.2 94.4±0.2
            88.4±0.4 90.3±0.3 78.0±0.8 77.8±0.8 89.3±0.1 89.8±0.2 84.0±1.6 83.9±1.6 92.5±0.7 92.4±0.6
            80.3±0.5 81.9±0.5 75.2±1.0 75.2±1.0 82.8±0.6 84.1±0.6 82.4±0.8 82.4±0.8 86.5±0.7 86.5±0.7
            """
        ),
        "Fashion-MNIST": (
            10,
            """
            83.7±2.2 94.5±0.3 91.8±0.7 92.3±0.7 94.5±0.3 95.2±0.5 93.4±0.2 93.3±0.2 93.0±0.9 92.3±1.6
            96.2±1.9 99.5±0.1 97.4±0.4 97.7±0.4 99.4±0.1 99.7±0.1 98.1±0.2 98.3±0.2 99.2±0.4 99.1±0.6
            78.1±2.0 93.8±0.2 91.6±0.4 91.6±0.4 93.1±0.3 94.2±0.3 93.3±0.2 93.5±0.2 93.1±0.2 93.4±0.1
            83.7±2.1 95.0±0.4 91.1±1.1 91.0±1.1 93.3±0.5 95.4±0.4 92.2±0.5 91.4±0.7 93.2±0.3 92.2±0.3
            83.5±2.1 91.9±0.1 93.3±0.2 92.7±0.2 92.1±0.2 93.9±0.2 93.4±0.1 92.5±0.2 94.2±0.2 93.4±0.3
            87.6±1.5 94.3±0.4 94.9±0.4 94.7±0.5 95.1±0.3 97.3±0.3 93.8±0.1 93.0±0.2 94.3±0.2 94.3±0.3
            77.3±1.2 83.4±0.2 86.1±0.5 85.5±0.4 82.5±0.4 85.9±0.4 88.3±0.1 87.4±0.1 87.6±0.2 86.2±0.1
            96.9±0.8 99.2±0.1 96.9±0.3 96.9±0.3 98.7±0.1 99.4±0.1 97.3±0.2 97.0±0.2 98.5±0.1 98.4±0.1
            92.2±1.5 96.2±0.5 90.9±0.8 90.0±0.9 98.5±0.3 98.3±0.3 92.3±1.2 92.3±1.2 97.6±0.3 97.6±0.3
            95.0±1.3 98.1±0.3 93.3±0.5 92.9±0.5 99.0±0.1 98.6±0.2 96.9±0.3 96.9±0.3 97.9±0.3 98.0±0.3
            87.4±1.7 94.6±0.3 92.7±0.5 92.5±0.5 94.6±0.3 95.8±0.3 93.9±0.3 93.6±0.3 94.8±0.3 94.5±0.4
            """
        ),
        "Cat-vs-Dog": (
            11,
            """
            86.4±0.3 86.1±0.2 41.3±1.7 41.2±1.8 81.9±0.7 84.1±0.8 89.8±0.4 89.7±0.4 91.6±0.3 91.7±0.3
            85.8±0.3 86.6±0.2 60.6±1.1 60.3±1.0 85.5±0.6 88.7±0.4 85.7±0.5 85.7±0.5 87.5±0.6 87.5±0.6
            86.1±0.3 86.4±0.2 51.0±1.4 50.7±1.4 83.7±0.6 86.4±0.6 87.7±0.5 87.7±0.4 89.6±0.5 89.6±0.4
            """
        ),
    ]

    /// Sohn et al. on MVTec AD: AUROC of images and of pixels, mean over 15 categories.
    static let defects: [String: (images: Substring, pixels: Substring, isConfirmed: Bool)] = [
        "rotnet": ("83.5", "92.6", false), "rotation": ("86.3", "93.0", true),
        "contrastive": ("80.2", "85.6", false), "da-contrastive": ("86.5", "90.4", true),
    ]

    /// The columns of `cutPaste`.
    package static let cutPasteColumns = [
        "cutpaste-rotation", "cutpaste", "cutpaste-scar", "cutpaste-3way", "localization",
    ]

    /// Tables 1 and 2 of Li et al.: the category; AUROC of images by rotation prediction, CutPaste, scars and three
    /// classes; AUROC of pixels by patches. ± is a standard error over 5 seeds.
    package static let cutPaste = """
        carpet 29.7±1.4 67.9±1.8 94.6±0.6 93.1±1.1 98.3±0.0
        grid 60.5±7.0 99.9±0.1 95.5±0.3 99.9±0.1 97.5±0.1
        leather 55.2±1.4 99.7±0.1 100.0±0.0 100.0±0.0 99.5±0.0
        tile 70.1±1.9 95.9±1.0 89.4±2.8 93.4±1.0 90.5±0.2
        wood 95.8±1.1 94.9±0.5 98.7±0.3 98.6±0.5 95.5±0.1
        bottle 95.0±0.7 99.2±0.2 98.0±0.5 98.3±0.5 97.6±0.1
        cable 85.3±0.8 87.1±0.8 78.8±2.9 80.6±0.5 90.0±0.2
        capsule 71.8±1.4 87.9±0.7 95.3±0.8 96.2±0.5 97.4±0.1
        hazelnut 83.6±0.8 91.3±0.6 96.7±0.4 97.3±0.3 97.3±0.1
        metal_nut 72.7±0.5 96.8±0.5 97.9±0.2 99.3±0.2 93.1±0.4
        pill 79.2±1.4 93.4±0.9 85.8±1.3 92.4±1.3 95.7±0.1
        screw 35.8±2.9 54.4±1.7 83.7±0.7 86.3±1.0 96.7±0.1
        toothbrush 99.1±0.2 99.2±0.2 96.7±0.4 98.3±0.9 98.1±0.0
        transistor 88.9±0.4 96.4±0.7 91.1±0.6 95.5±0.5 93.0±0.2
        zipper 74.3±1.6 99.4±0.1 99.5±0.1 99.4±0.2 99.3±0.0
        """

    // MARK: Looking up

    private static func lines(_ text: String) -> [[Substring]] {
        text.split(separator: "\n").map { $0.split(separator: " ") }
    }

    /// What is known against a value of Table 7.
    private static func remark(_ dataset: String, _ representation: String, _ score: String) -> String? {
        if score == "classifier" { return "which score of the classifier it is, is not known" }
        if score == "ocsvm-linear" || representation == "random" { return weak }
        if representation == "denoising", ["Cat-vs-Dog", "Fashion-MNIST"].contains(dataset) {
            return "the paper's tables disagree"
        }
        return nil
    }

    /// The mean over all classes of a data set; nil where there is none.
    ///
    /// - Parameters:
    ///   - dataset: `ImageDataset.name`.
    ///   - representation: such as `rotnet`, or `da-contrastive`.
    ///   - score: a detector's name, or `classifier`.
    public static func mean(_ dataset: String, _ representation: String, _ score: String) -> PublishedValue? {
        guard let column = datasets.firstIndex(of: dataset),
            let line = lines(summary).first(where: { $0[0] == representation && $0[1] == score })
        else { return nil }
        return PublishedValue(
            line[2 + column], score == "gaussian" ? "Table 5" : "Table 7",
            remark: remark(dataset, representation, score))
    }

    /// The values of a data set's classes, in their order; nil where there are none.
    public static func classes(_ dataset: String, _ representation: String, _ score: String)
        -> [PublishedValue]?
    {
        guard let (number, text) = classTables[dataset],
            let column = classColumns.firstIndex(of: "\(representation) \(score)")
        else { return nil }
        return lines(text).dropLast().compactMap {
            PublishedValue(
                $0[column], "Table \(number)", remark: remark(dataset, representation, score))
        }
    }

    /// The categories of MVTec AD.
    public static let categories = lines(cutPaste).map { String($0[0]) }

    /// The value of a category by Li et al.; nil where there is none.
    public static func category(_ name: String, _ column: String) -> PublishedValue? {
        guard let place = cutPasteColumns.firstIndex(of: column),
            let line = lines(cutPaste).first(where: { $0[0] == name })
        else { return nil }
        return PublishedValue(
            line[1 + place], column == "localization" ? "Table 2" : "Table 1", kind: .standardError)
    }
}
