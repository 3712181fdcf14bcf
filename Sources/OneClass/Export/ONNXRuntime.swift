import CONNXRuntime
import OCCData
import OCCEngine

/// ONNX Runtime's C library, found at run time.
package struct ONNXRuntime {
    private let library: onr_library
    /// Its version, such as 1.20.1.
    package let version: String

    /// Finds the library.
    ///
    /// - Parameter folders: where it is looked for before the usual places, separated by colons.
    /// - Throws: `OCCError(.deviceUnavailable)` where there is none, or only one that is too old.
    package init(in folders: String?) throws {
        var library = onr_library()
        onr_find(folders, &library)
        guard library.api != nil else {
            throw OCCError(
                .deviceUnavailable, Wording(Self.text(library.reason)),
                remedy: "pip install onnxruntime, and set OCC_ONNXRUNTIME_PATH to the environment's folder.")
        }
        self.library = library
        version = Self.text(library.version)
    }

    /// What a file says of an image.
    package struct Answer {
        package let score: Double
        /// Empty of a model without one.
        package let map: [Float]
    }

    /// What an exported file says of images.
    ///
    /// - Parameters:
    ///   - name: what errors call the file.
    ///   - pixels: of the map; 0 for a model without one.
    /// - Throws: `OCCError(.failure)` where the file is not what `OneClassModel.onnx` makes.
    package func answers(
        of path: String, named name: String, to images: [RGBImage], pixels: Int
    ) throws -> [Answer] {
        var library = library, reason = [CChar](repeating: 0, count: 1024)
        func failed() -> OCCError {
            let text = reason.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            return OCCError(
                .failure, "\(name): ONNX Runtime \(version): \(text)",
                remedy:
                    "Set OCC_ONNXRUNTIME_PATH to the folder of another version of ONNX Runtime; where that says "
                    + "the same, report it with the model.")
        }
        let opened = PathText.with(path) { onr_open(&library, $0, &reason, reason.count) }
        guard let session = opened else { throw failed() }
        defer { onr_close(session) }
        return try images.map { image in
            var score = 0.0, map = [Float](repeating: 0, count: pixels)
            let shape = [1, Int64(image.height), Int64(image.width), 3]
            let status = withUnsafeMutablePointer(to: &score) { score in
                map.withUnsafeMutableBufferPointer { map in
                    "score".withCString { scoreName in
                        "map".withCString { mapName in
                            let outputs = [
                                onr_output(
                                    name: scoreName, type: Int32(ONR_DOUBLE), count: 1, values: score
                                ),
                                onr_output(
                                    name: mapName, type: Int32(ONR_FLOAT), count: map.count,
                                    values: map.baseAddress),
                            ]
                            return onr_run(
                                session, "images", image.pixels, shape, outputs, pixels > 0 ? 2 : 1, &reason,
                                reason.count)
                        }
                    }
                }
            }
            guard status == 0 else { throw failed() }
            return Answer(score: score, map: map)
        }
    }

    private static func text<Characters>(_ characters: Characters) -> String {
        withUnsafeBytes(of: characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
