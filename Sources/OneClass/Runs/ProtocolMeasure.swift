import OCCDetectors

/// A number that a protocol takes of each model, in a column of its table.
public enum ProtocolMeasure: Sendable {
    /// The AUROC of a detector, fitted on the features of the training images; with a number, of so many of the
    /// training images that are normal for certain.
    case detector(any Detector, cleanNormals: Int? = nil)
    /// The AUROC of the score of the method's own classifier that has this name, such as `upright`; for methods that
    /// conform to `TransformationScoring`.
    case classifier(String)
    /// The AUROC of images by a model of patches: the highest score of an image's patches.
    case patchImages
    /// The AUROC of pixels by the maps of a model of patches; none without masks.
    case pixels
    /// The area under the per-region-overlap curve of these maps, up to a false-positive rate of 0.3.
    case regionOverlap

    /// What a model of patches is judged by.
    public static let ofPatches: [ProtocolMeasure] = [.patchImages, .pixels, .regionOverlap]

    /// The column's name.
    public var column: String {
        switch self {
        case .detector(let detector, let count):
            detector.name + (count.map { ", \($0) clean normals" } ?? "")
        case .classifier(let name): "classifier \(name)"
        case .patchImages: "image AUROC"
        case .pixels: "pixel AUROC"
        case .regionOverlap: "AUPRO"
        }
    }

    /// Whether it is of models of patches.
    var isOfPatches: Bool {
        switch self {
        case .detector, .classifier: false
        case .patchImages, .pixels, .regionOverlap: true
        }
    }
}
