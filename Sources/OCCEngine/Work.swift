import Foundation

/// Work that may take long, as who waits for it wants to follow it: how much there is, and how much is done.
///
/// The library says nothing by itself: it tells `Work.observer`, which a program sets around its calls:
///
///     try Work.$observer.withValue(reporter) { try OneClassModel.fit(...) }
public final class Work: @unchecked Sendable {
    /// Who is told of work; nil for nobody.
    @TaskLocal public static var observer: (any WorkObserver)?

    /// What is done, such as "training".
    public let name: String
    /// What is counted, in the plural; empty where nothing is.
    public let unit: String
    /// How much there is; nil where that is not known.
    public let total: Int?
    /// What was done when it began.
    public let alreadyDone: Int
    /// Whether it is made of parts that are worth following themselves.
    public let hasParts: Bool
    /// When it began.
    public let start = ContinuousClock.now

    private let lock = NSLock()
    private var count: Int
    private var text = ""

    private init(_ name: String, _ unit: String, total: Int?, alreadyDone: Int, hasParts: Bool) {
        self.name = name
        self.unit = unit
        self.total = total
        self.alreadyDone = alreadyDone
        self.hasParts = hasParts
        count = alreadyDone
    }

    /// How much is done.
    public var done: Int { lock.withLock { count } }

    /// How it goes, in a few words; empty where there is nothing to say.
    public var detail: String {
        get { lock.withLock { text } }
        set { lock.withLock { text = newValue } }
    }

    /// Counts what has been done; from any thread.
    public func advance(by more: Int = 1) { lock.withLock { count += more } }

    /// Does a piece of work under the eyes of the observer.
    ///
    /// - Parameters:
    ///   - name: what is done.
    ///   - unit: what is counted, in the plural.
    ///   - total: how much there is; nil where that is not known.
    ///   - alreadyDone: what has been done before.
    ///   - hasParts: whether it is made of work that is worth following itself.
    public static func track<Result>(
        _ name: String, _ unit: String = "", total: Int? = nil, alreadyDone: Int = 0, hasParts: Bool = false,
        _ body: (Work) throws -> Result
    ) rethrows -> Result {
        let work = Work(name, unit, total: total, alreadyDone: alreadyDone, hasParts: hasParts)
        let observer = observer
        observer?.began(work)
        defer { observer?.ended(work) }
        return try body(work)
    }
}

/// Who is told of work: on the thread that does it.
public protocol WorkObserver: Sendable {
    /// Work begins; until it ends, work that begins is a part of it.
    func began(_ work: Work)
    /// The work that began last and has not ended is over.
    func ended(_ work: Work)
}
