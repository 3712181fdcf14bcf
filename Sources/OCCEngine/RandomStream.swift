/// The streams of random numbers, all of them: who draws from which, so that no two consumers meet.
///
/// A number depends on (seed, step or counter, sample, stream). The lower 12 bits of a stream say whose it
/// is; the upper 20 count the blocks of a consumer that needs many (pixels, parts of one draw). Two consumers
/// meet when they share lower bits and a block; `RandomStreamTests` shows that none do.
package enum RandomStream {
    /// Operations that draw nothing.
    package static let none: UInt32 = 0
    /// CutPaste: where from, where to, and the two draws of its color jitter.
    package static let cutPaste: UInt32 = 50
    /// Gaussian noise: a block to every four values of an image.
    package static let noise: UInt32 = 100
    /// The noise between the levels of pixels: a block to every four values of an image.
    package static let dequantization: UInt32 = 150
    /// Dropouts that a network may have.
    package static let dropouts = 4
    /// A dropout of a network, counted from 0: a block to every four values of a row.
    package static func dropout(layer: Int) -> UInt32 { UInt32(157 + layer) }
    /// Which rows of features a density is trained on at a step.
    package static let densityRows: UInt32 = 0xDE25_1000
    /// Which images are held out, and which outliers are mixed in.
    package static let split: UInt32 = 0x5911_7000
    /// Which fold an image is in.
    package static let folds: UInt32 = 0xF01D_5000
    /// Which channels of feature maps a detector sees, and where its choice of places begins.
    package static let channels: UInt32 = 0xC4A2_3000
    /// The order of the items of an epoch.
    package static let batches: UInt32 = 0xBA7C_0000
    /// Where a step's patches lie.
    package static let corners: UInt32 = 0xC04E_0000
    /// Which images of something else a step shows.
    package static let outliers: UInt32 = 0x0E0E_4000
    /// The built-in data sets' training and test images.
    package static let builtinTrain: UInt32 = 0x5AFE_0001
    package static let builtinTest: UInt32 = 0x5AFE_0002
    /// The features of simulations.
    package static let simulation: UInt32 = 0x51A7_0001
    /// The images that an exported file is checked on.
    package static let exportCheck: UInt32 = 0xEC4E_C000
    /// Which of the cats and dogs are test images.
    package static let testFifth: UInt32 = 0xCA7D_0600

    /// Steps that a recipe may have.
    package static let recipeSteps = 40
    /// A step of an augmentation recipe, counted from 0.
    package static func recipe(step: Int) -> UInt32 { UInt32(step + 1) }

    /// What a consumer draws from: streams base + block << 12.
    package struct Claim: Sendable {
        package let base: UInt32
        package let blocks: Range<UInt32>

        init(_ base: UInt32, blocks: Range<UInt32> = 0..<1) {
            self.base = base
            self.blocks = blocks
        }

        /// Whether a stream is one of the consumer's.
        func contains(_ stream: UInt32) -> Bool {
            let distance = stream &- base
            return distance & 0xFFF == 0 && blocks.contains(distance >> 12)
        }

        /// Whether two consumers share a stream.
        package func meets(_ other: Claim) -> Bool {
            guard (base &- other.base) & 0xFFF == 0 else { return false }
            let mine = (base >> 12) + blocks.lowerBound..<(base >> 12) + blocks.upperBound
            let theirs =
                (other.base >> 12) + other.blocks.lowerBound..<(other.base >> 12) + other.blocks.upperBound
            return mine.overlaps(theirs)
        }
    }

    /// Every consumer but the parameters.
    package static let claims: [Claim] =
        (0..<recipeSteps).map { Claim(recipe(step: $0)) }
        + (0..<dropouts).map { Claim(dropout(layer: $0), blocks: 1..<1 << 20) } + [
            Claim(cutPaste, blocks: 0..<4), Claim(noise, blocks: 1..<1 << 20),
            Claim(dequantization, blocks: 1..<1 << 20), Claim(densityRows), Claim(split), Claim(folds),
            Claim(batches),
            Claim(corners), Claim(builtinTrain), Claim(builtinTest), Claim(testFifth),
            Claim(simulation), Claim(channels), Claim(exportCheck),
        ]

    /// The stream of a parameter's initial values: FNV-1a of its name, or the next one that nobody else has.
    package static func parameter(_ name: String) -> UInt32 {
        var stream = name.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        while claims.contains(where: { $0.contains(stream) }) { stream &+= 1 }
        return stream
    }
}
