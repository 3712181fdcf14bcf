import CImageIO

/// The libraries that image files are read with.
package enum ImageLibraries {
    /// Each library's name and version: of what is loaded, or of its header where the library does not say.
    package static var versions: [(name: String, version: String)] {
        (0..<Int32(CIM_LIBRARY_COUNT)).map { index in
            let library = cim_library_at(index)
            let version = withUnsafeBytes(of: library.version) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            return (String(cString: library.name), version)
        }
    }
}
