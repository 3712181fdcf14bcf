import OCCData
import OCCDetectors
import OCCNetworks

/// What a look at normal images decides about a model of patches: whether each place has a detector of its own,
/// which detector, and whether training is worth its time.
///
/// Chosen on MVTec AD's bottle, four papers of PIPED, and the built-in cloth, bracket and wheel; the page Measurements
/// has what each choice gives on each of them.
public struct PatchRecipe: Sendable, Equatable {
    /// What the images show.
    public enum Scene: Sendable, Equatable {
        /// Objects that lie alike in every image: each place has a Gaussian of its own (Defard et al. 2020, PaDiM).
        case aligned
        /// A texture, the same everywhere: one Gaussian, on features learned from pasted patches.
        case texture
        /// Objects in any pose: the distance to the nearest of normal patches (Roth et al. 2022, PatchCore), as one
        /// Gaussian does not hold ground, edge and object.
        case scattered
    }

    /// What the images show.
    public let scene: Scene
    /// The reason, for people.
    public let reason: String

    /// Patches that a search for the nearest one goes through. With 20,000 the bracket's maps are better by 0.2 points,
    /// and take twice the time.
    static let searchedRows = 8_000

    /// Steps on patches of a texture: more make maps worse on the data that recipes were chosen on.
    public static let textureSteps = 600

    /// Looks at the training images: those that calibrate the threshold must not choose what they calibrate.
    ///
    /// - Parameter patch: the side of the patches in pixels.
    public init(_ images: ImageBatch, patch: Int) {
        // The last fifth of the images stands for new ones.
        let kept = images.count - max(1, images.count / 5)
        let share = Alignment.share(
            train: images.subset(0..<kept), heldOut: images.subset(kept..<images.count))
        let percent = "the mean image explains \(Int((100 * max(0, share)).rounded())) % of held-out ones"
        if share >= Alignment.threshold {
            scene = .aligned
            reason = "images lie alike (\(percent)): a detector for each place"
        } else if Texture.spread(of: images.subset(0..<min(images.count, 50)), patch: patch)
            < Texture.threshold
        {
            scene = .texture
            reason = "images are of a texture: one detector for all places"
        } else {
            scene = .scattered
            reason = "objects do not lie alike (\(percent)): one detector for all places"
        }
    }

    /// The steps that training takes at most. None for objects: networks as they are drawn did better than after
    /// learning to find pasted patches.
    public var mostSteps: Int { scene == .texture ? Self.textureSteps : 0 }

    /// Sets whether places have detectors of their own, and the detector.
    ///
    /// - Parameters:
    ///   - locations: whether places are to be set.
    ///   - detector: whether the detector is, and its number of rows.
    public func apply(to c: inout RunConfiguration, locations: Bool = true, detector: Bool = true) {
        if detector, scene == .scattered, !locations || c.locations == .shared {
            c.detector = NearestNeighbors()
            c.detectorRows = Self.searchedRows
        }
        if locations, c.detector.forEachLocation as (any Detector)? != nil {
            c.locations = scene == .aligned ? .each : .shared
        }
    }
}
