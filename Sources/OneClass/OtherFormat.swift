import OCCEngine

/// A file whose format has a number that is not read.
struct OtherFormat {
    /// What the file is, with its article.
    let what: String
    /// The number that it says, and those that are read.
    let number: Int, read: ClosedRange<Int>
    /// What makes it anew.
    let again: Wording

    /// What to do about it: which program reads it, or what makes it anew.
    var error: OCCError {
        let isNewer = number > read.upperBound
        let own =
            read.count == 1 ? "format \(read.lowerBound)" : "formats \(read.lowerBound) to \(read.upperBound)"
        return OCCError(
            .badData,
            "is \(what) of format \(number), which a\(isNewer ? " newer" : "n older") occ-gpu wrote; this program "
                + "reads \(own)", remedy: isNewer ? "Use the newer program." : again)
    }
}
