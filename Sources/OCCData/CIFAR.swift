import OCCEngine

/// A reader of CIFAR's binary format: records of label bytes and 3,072 bytes of red, green and blue planes.
package enum CIFAR {
    static let classes10 = [
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ]

    /// The names of CIFAR-100's superclasses, by coarse label.
    static let superclasses100 = [
        "aquatic mammals", "fish", "flowers", "food containers", "fruit and vegetables",
        "household electrical devices",
        "household furniture", "insects", "large carnivores", "large man-made outdoor things",
        "large natural outdoor scenes", "large omnivores and herbivores", "medium-sized mammals",
        "non-insect invertebrates", "people", "reptiles", "small mammals", "trees", "vehicles 1",
        "vehicles 2",
    ]

    static func read(_ paths: [String], labelBytes: Int, classes: Int) throws -> LabeledImages {
        var result = LabeledImages(side: 32)
        for path in paths {
            try parse(try readFile(path), name: path, labelBytes: labelBytes, classes: classes, into: &result)
        }
        return result
    }

    /// Reads the records of a file.
    ///
    /// - Parameter labelBytes: 1 for CIFAR-10; 2 for CIFAR-100, whose first is the superclass.
    package static func parse(
        _ bytes: [UInt8], name: String, labelBytes: Int, classes: Int, into result: inout LabeledImages
    ) throws {
        let record = labelBytes + 3072
        guard !bytes.isEmpty, bytes.count % record == 0 else {
            throw OCCError(
                .badData, "\(name): \(bytes.count) bytes are no whole number of records of \(record)",
                remedy: "Download the file again.")
        }
        var image = [UInt8](repeating: 0, count: 3072)
        for index in 0..<(bytes.count / record) {
            let start = index * record, label = Int(bytes[start])
            guard label < classes else {
                throw OCCError(
                    .badData, "\(name): record \(index) has label \(label), above \(classes - 1)",
                    remedy: "Download the file again.")
            }
            for pixel in 0..<1024 {
                for channel in 0..<3 {
                    image[3 * pixel + channel] = bytes[start + labelBytes + 1024 * channel + pixel]
                }
            }
            result.images.append(image)
            result.labels.append(label)
            result.names.append("\(name)#\(index)")
        }
    }
}
