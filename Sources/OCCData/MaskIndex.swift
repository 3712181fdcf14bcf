import OCCEngine

/// The mask files of a data set, found by the image that they belong to.
///
/// Under the folder of masks there is a folder for each class of defects, as under `test`. The mask of
/// `test/DEFECT/NAME.png` is `DEFECT/NAME_mask.png` (MVTec AD), `DEFECT/NAME.png` (BTAD, VisA), or every image in
/// `DEFECT/NAME/` (MVTec LOCO AD); the extension may be any that is read, and case does not matter.
struct MaskIndex {
    private var files: [String] = []
    /// The places in `files` by class and name, for each of the three namings.
    private var places: [[String: [Int]]] = [[:], [:], [:]]
    private var used: Set<Int> = []
    /// What is no mask below the folder.
    private(set) var account = FileAccount()

    /// Folders that masks are looked for in, below the data set's.
    static let folders = ["ground_truth", "Data/Masks", "masks", "mask", "gt", "ground-truth", "groundtruth"]
    private static let endings = ["_mask", "-mask", "_gt", "_label", "_seg", "_ground_truth"]

    /// Lists the masks of a folder; an absent one has none.
    init(_ root: String) throws {
        guard isFolder(root) else { return }
        let walk = try FolderWalk(root)
        account = walk.account
        files = walk.images
        for (index, file) in files.enumerated() {
            let name = withoutExtension(relative(file, to: root)).lowercased()
            add(index, name, 0)
            if let ending = Self.endings.first(where: { name.hasSuffix($0) }) {
                add(index, String(name.dropLast(ending.count)), 1)
            }
            add(index, parentFolder(name), 2)
        }
    }

    private mutating func add(_ index: Int, _ key: String, _ naming: Int) {
        places[naming][key, default: []].append(index)
    }

    /// The masks of an image, by its class and its path within the class's folder.
    mutating func masks(of image: String, in folder: String) -> [String] {
        let name = withoutExtension(image).lowercased()
        for key in ["\(folder.lowercased())/\(name)", name] {
            for naming in [1, 0, 2] {
                guard let found = places[naming][key] else { continue }
                used.formUnion(found)
                return found.map { files[$0] }
            }
        }
        return []
    }

    /// The masks that no image asked for, outside of these classes' folders.
    func unused(except normal: String) -> [String] {
        files.indices.filter { index in
            !used.contains(index)
                && !parentFolder(files[index]).lowercased().hasSuffix("/\(normal.lowercased())")
        }.map { files[$0] }
    }
}
