import Synchronization

/// A list of named things to choose from: encoders, methods or detectors. Others can be added before they are
/// used; a model file that names one is read only where it is registered.
public final class Registry<Entry: Sendable>: Sendable {
    /// What an entry is called in errors, such as "encoder".
    public let title: String
    private let name: @Sendable (Entry) -> String
    private let stored: Mutex<[Entry]>

    package init(_ title: String, _ entries: [Entry], name: @escaping @Sendable (Entry) -> String) {
        self.title = title
        self.name = name
        stored = Mutex(entries)
    }

    /// Every entry, in the order of registration.
    public var entries: [Entry] { stored.withLock { $0 } }

    /// The names there are.
    public var names: [String] { entries.map(name) }

    /// Adds an entry; one of the same name makes way.
    public func register(_ entry: Entry) {
        let own = name(entry)
        stored.withLock { entries in
            if let place = entries.firstIndex(where: { name($0) == own }) {
                entries[place] = entry
            } else {
                entries.append(entry)
            }
        }
    }

    /// The entry of a name.
    ///
    /// - Throws: `SettingError` with the names there are.
    public func entry(_ wanted: String) throws(SettingError) -> Entry {
        guard let found = entries.first(where: { name($0) == wanted }) else {
            throw SettingError(title, "there is no '\(wanted)'", choices: names, given: wanted)
        }
        return found
    }
}
