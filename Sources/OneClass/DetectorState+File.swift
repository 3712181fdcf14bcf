import Foundation
import OCCDetectors
import OCCEngine

extension TensorFile {
    /// Keeps a fitted state under a name: its arrays as tensors, its numbers in the metadata.
    mutating func set(_ name: String, _ state: DetectorState) {
        for (key, array) in state.arrays {
            tensors["\(name).\(key)"] =
                array.isSingle
                ? .init(array.singles, shape: array.shape) : .init(array.values, shape: array.shape)
        }
        let numbers = JSONValue.object(state.numbers.mapValues { .number($0) })
        metadata["\(name)_numbers"] = (try? numbers.text()) ?? "{}"
    }

    /// The fitted state of a name.
    ///
    /// - Throws: `OCCError(.badData)` saying what is missing or malformed.
    func state(_ name: String) throws -> DetectorState {
        var state = DetectorState()
        let text = metadata["\(name)_numbers"] ?? ""
        guard let numbers = try? JSONDecoder().decode([String: Double].self, from: Data(text.utf8)) else {
            throw OCCError(.badData, "its \(name)_numbers are missing or malformed")
        }
        state.numbers = numbers
        for (key, entry) in tensors where key.hasPrefix("\(name).") {
            let own = String(key.dropFirst(name.count + 1))
            if let values = entry.floats {
                state.set(own, values, shape: entry.shape)
            } else if let values = entry.doubles {
                state.set(own, values, shape: entry.shape)
            } else {
                throw OCCError(.badData, "tensor \(key) is not of real numbers")
            }
        }
        return state
    }
}
