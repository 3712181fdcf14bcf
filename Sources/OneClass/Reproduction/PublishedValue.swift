/// A value that a paper gives.
public struct PublishedValue: Sendable, Codable, Equatable {
    /// What `spread` is.
    public enum SpreadKind: String, Sendable, Codable {
        /// The deviation over seeds.
        case deviation
        /// The standard error of the mean over seeds.
        case standardError
    }

    /// The mean over seeds, a share.
    public let mean: Double
    /// How far seeds are apart, a share; nil where the paper says nothing.
    public let spread: Double?
    /// What the spread is.
    public let spreadKind: SpreadKind
    /// Where it stands, such as "Table 7".
    public let source: String
    /// Why it is no firm ground, or what it is of instead; nil for a value that nothing is known against.
    public let remark: String?
    /// Whether it is of the same classes as our value.
    public let isComparable: Bool

    /// A value as a paper prints it, `92.4±0.7` or `67.9`, in percent; nil for other text.
    package init?(
        _ text: Substring, _ source: String, remark: String? = nil, kind: SpreadKind = .deviation,
        isComparable: Bool = true
    ) {
        let parts = text.split(separator: "±", omittingEmptySubsequences: false).map { Double($0) }
        guard (1...2).contains(parts.count), parts.allSatisfy({ $0 != nil }) else { return nil }
        self.init(
            mean: parts[0]! / 100, spread: parts.count == 2 ? parts[1]! / 100 : nil, source: source,
            remark: remark, kind: kind, isComparable: isComparable)
    }

    init(
        mean: Double, spread: Double?, source: String, remark: String? = nil, kind: SpreadKind = .deviation,
        isComparable: Bool = true
    ) {
        (self.mean, self.spread, self.source, self.remark) = (mean, spread, source, remark)
        (spreadKind, self.isComparable) = (kind, isComparable)
    }

    /// The same, of other classes than ours.
    func ofOthers(_ remark: String) -> PublishedValue {
        PublishedValue(
            mean: mean, spread: spread, source: source,
            remark: [self.remark, remark].compactMap { $0 }.joined(separator: "; "), kind: spreadKind,
            isComparable: false)
    }

    /// The mean of values of several classes; its spread is the mean of theirs, as in the papers.
    ///
    /// - Returns: nil of none; of one itself.
    static func mean(of values: [PublishedValue]) -> PublishedValue? {
        guard let first = values.first, values.count > 1 else { return values.first }
        let count = Double(values.count), spreads = values.compactMap(\.spread)
        return PublishedValue(
            mean: values.reduce(0) { $0 + $1.mean } / count,
            spread: spreads.count == values.count ? spreads.reduce(0, +) / count : nil,
            source: "\(first.source), mean of these \(values.count)", remark: first.remark,
            kind: first.spreadKind)
    }
}

/// How our value lies to a published one.
public enum Agreement: String, Sendable, Codable {
    /// Within its spread.
    case within
    /// Above its spread.
    case above
    /// Below its spread.
    case below
    /// There is a value without a spread.
    case noSpread = "no spread published"
    /// The value is of other classes than ours.
    case otherClasses = "of other classes"
    /// There is no value.
    case unpublished = "no value published"

    /// Compares a mean, a share, with a published value.
    package init(_ mean: Double, _ published: PublishedValue?) {
        guard let published else {
            self = .unpublished
            return
        }
        guard published.isComparable else {
            self = .otherClasses
            return
        }
        guard let spread = published.spread else {
            self = .noSpread
            return
        }
        // Half of the last digit that is printed is no difference.
        let slack = spread + 0.0005
        self =
            abs(mean - published.mean) <= slack + 1e-12
            ? .within : mean > published.mean ? .above : .below
    }
}
