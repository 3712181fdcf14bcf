/// What numbers that are given in a list count.
public protocol Counted: Sendable {
    /// Several of them in words, with an example, for messages.
    static var severalInOrder: String { get }
}

/// Whole numbers from 1 in rising order, such as `1,2,3`: of stages of an encoder, or of epochs of a run.
public struct RisingNumbers<Unit: Counted>: Sendable, Equatable, SettingNumber {
    /// The numbers, one at least.
    public let numbers: [Int]

    /// Numbers that are in rising order, from 1; nil where they are not, or there are none.
    public init?(_ numbers: [Int]) {
        guard let first = numbers.first, first >= 1, zip(numbers, numbers.dropFirst()).allSatisfy(<) else {
            return nil
        }
        self.numbers = numbers
    }

    /// A JSON array of whole numbers.
    public var json: JSONValue { numbers.json }
    /// The numbers in a JSON array; nil for anything else.
    public init?(json: JSONValue) {
        guard let numbers = [Int](json: json) else { return nil }
        self.init(numbers)
    }
    /// The numbers of text such as `1,2,3`; nil for other text.
    public init?(text: String) {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
        guard !parts.contains(nil) else { return nil }
        self.init(parts.compactMap { $0 })
    }
    /// The type in words, for messages.
    public static var typeName: String { Unit.severalInOrder }
    /// The numbers.
    public var magnitudes: [Double] { numbers.map(Double.init) }
}
