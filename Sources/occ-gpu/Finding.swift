import OneClass

/// What `doctor` found in one place, and what to do about it.
package struct Finding: Sendable, Equatable {
    /// How it is.
    package enum Status: String, Sendable {
        /// Nothing to do.
        case ok
        /// Runs work, but something is missing, slow or odd.
        case note
        /// Runs do not work, or not as they were asked for.
        case problem
    }

    package let status: Status
    /// What was looked at.
    package let name: String
    /// What was found.
    package let text: String
    /// What to do about it; nil where there is nothing to do.
    package let remedy: String?
    /// What was found, for programs.
    package let values: [String: JSONValue]

    package init(
        _ status: Status, _ name: String, _ text: String, remedy: String? = nil,
        values: [String: JSONValue] = [:]
    ) {
        self.status = status
        self.name = name
        self.text = text
        self.remedy = remedy
        self.values = values
    }

    /// The finding as lines of a table; the remedy is on one of its own.
    ///
    /// - Parameter width: of the column of names.
    package func lines(width: Int) -> [String] {
        let start = status.rawValue.padding(toLength: 9, withPad: " ", startingAt: 0)
        let name = name.padding(toLength: width + 2, withPad: " ", startingAt: 0)
        let first = "\(start)\(name)\(text)"
        return remedy.map { [first, String(repeating: " ", count: width + 11) + "-> \($0)"] } ?? [first]
    }

    /// The finding as JSON.
    package var json: JSONValue {
        var result = values
        result["status"] = .string(status.rawValue)
        result["name"] = .string(name)
        result["text"] = .string(text)
        result["remedy"] = remedy.map { .string($0) }
        return .object(result)
    }
}
