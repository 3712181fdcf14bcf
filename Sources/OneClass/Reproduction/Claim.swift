import Foundation

/// Something that a paper says, as a sum of means that is above 0 if it is so: what is better less what is worse, or a
/// lead less an earlier lead.
public struct Claim: Sendable {
    /// A mean over classes, and its weight in the sum.
    public struct Term: Sendable {
        /// The factor.
        public let weight: Double
        /// The row's name.
        public let row: String
        /// The measure's column.
        public let column: String

        /// A term of the sum.
        public init(_ weight: Double, _ row: String, _ column: String) {
            (self.weight, self.row, self.column) = (weight, row, column)
        }
    }

    /// How it comes out.
    public enum Outcome: String, Sendable, Codable {
        /// The sum is above 0: with several seeds, by more than two standard errors.
        case confirmed
        /// With several seeds, the sum is above 0 by less.
        case undecided
        /// The sum is 0 or below.
        case notConfirmed = "not confirmed"
        /// Rows that it takes are missing.
        case notTested = "not tested"
    }

    /// What is said.
    public let statement: String
    /// Where, such as "Table 7".
    public let source: String
    /// The sum.
    public let terms: [Term]
    /// The names of the data sets that it is said of; empty for all.
    public let datasets: Set<String>

    /// A claim.
    public init(_ statement: String, source: String, _ terms: [Term], datasets: Set<String> = []) {
        (self.statement, self.source, self.terms, self.datasets) = (statement, source, terms, datasets)
    }

    /// The claim that one row is better than another by the same measure.
    package static func better(
        _ statement: String, source: String, _ better: (String, String), than worse: (String, String),
        datasets: Set<String> = []
    ) -> Claim {
        Claim(
            statement, source: source, [Term(1, better.0, better.1), Term(-1, worse.0, worse.1)],
            datasets: datasets)
    }

    /// The sum; nil where a term is missing.
    func sum(_ value: (Term) -> Double?) -> Double? {
        terms.reduce(0) { sum, term in sum.flatMap { sum in value(term).map { sum + term.weight * $0 } } }
    }

    /// How it comes out of the sums of several seeds.
    package static func outcome(_ sums: [Double]) -> Outcome {
        guard !sums.isEmpty else { return .notTested }
        let cell = ProtocolTable.Cell(sums)
        guard cell.mean > 0 else { return .notConfirmed }
        guard sums.count > 1 else { return .confirmed }
        return cell.mean > 2 * cell.deviation / Double(sums.count).squareRoot() ? .confirmed : .undecided
    }
}
