import OCCData
import OCCDetectors

/// What a look at normal images decides about a model of patches: whether each place has a detector of its own, and
/// which detector.
///
/// Chosen on MVTec AD's bottle, four papers of PIPED, the built-in cloth, bracket and wheel, and nine sets of drawn
/// pictures that are not part of the project; the page Measurements has what it gives on each of them.
public struct PatchRecipe: Sendable, Equatable {
    /// Whether images lie alike. If they do, each place has a Gaussian of its own (Defard et al. 2020, PaDiM). In
    /// others, textures and objects in any pose, the score is the distance to the nearest normal patch (Roth et al. 2022,
    /// PatchCore), as one Gaussian does not hold ground, edge and object: the Mahalanobis distance, as cosines hardly see
    /// what is faint, nor brightness.
    public let isAligned: Bool
    /// The reason, for people.
    public let reason: String

    /// Patches that a search for the nearest one goes through. With 8,000 the images of the bracket and of two sets of
    /// pictures that are not ours had an AUROC lower by 2 to 4 points; a search takes 2.5 times as long.
    static let searchedRows = 20_000

    /// Steps that the encoder of such a model is trained for by itself: none. On all data sets at hand the network as it
    /// is drawn did as well as after learning to find pasted patches, or better.
    public static let steps = 0

    /// Steps of other encoders on patches at most: more make maps worse on the data that recipes were chosen on.
    public static let mostSteps = 600

    /// Looks at the training images: those that calibrate the threshold must not choose what they calibrate.
    public init(_ images: ImageBatch) {
        // The last fifth of the images stands for new ones.
        let kept = images.count - max(1, images.count / 5)
        let share = Alignment.share(
            train: images.subset(0..<kept), heldOut: images.subset(kept..<images.count))
        let percent = Int((100 * max(0, share)).rounded())
        isAligned = share >= Alignment.threshold
        reason =
            isAligned
            ? "images lie alike (the mean image explains \(percent) % of held-out ones): a detector for each place"
            : "images do not lie alike (the mean image explains \(percent) % of held-out ones): one detector for all places"
    }

    /// Sets whether places have detectors of their own, and the detector.
    ///
    /// - Parameters:
    ///   - locations: whether places are to be set.
    ///   - detector: whether the detector is, and its number of rows.
    public func apply(to c: inout RunConfiguration, locations: Bool = true, detector: Bool = true) {
        if detector, !isAligned, locations || c.locations == .shared {
            c.detector = MahalanobisNearestNeighbors()
            c.detectorRows = Self.searchedRows
        }
        if locations, c.detector.forEachLocation as (any Detector)? != nil {
            c.locations = isAligned ? .each : .shared
        }
    }
}
