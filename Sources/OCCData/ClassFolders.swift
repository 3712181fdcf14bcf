import OCCEngine

/// Folders of image files, as people have them.
///
/// - `train/CLASS/...` and `test/CLASS/...`: with one class to train on, every other class of `test` is a
///   defect (MVTec AD, BTAD, LOCO, and VisA in that layout); with several, any can be the normal one.
/// - `train/*` and `test/CLASS/...`: the images of `train` are normal.
/// - `good/...` and `bad/...`, by these names or others for normal images: four fifths of the normal images, at
///   random, are to train on, and the rest and all others are for testing.
/// - `CLASS/...` alone: a fifth of each class, at random, is for testing.
/// - Images directly, in subfolders too: all are normal, and there is no test set.
extension DatasetFolder {
    /// What normal images are called where the classes of `train` and `test` do not say.
    private static let normalNames: Set<String> = [
        "good", "ok", "normal", "normals", "non_defective", "non-defective", "defect_free", "defect-free",
        "no_defect", "clean", "pass", "passed", "accept", "accepted", "healthy", "perfect", "anomaly_free",
        // German, Dutch, French, Spanish, Portuguese, Italian; Chinese and Japanese
        "gut", "in_ordnung", "io", "i.o.", "fehlerfrei", "goed", "bon", "bons", "conforme",
        "conformes", "bueno", "buenos", "correcto", "bom", "buono", "buoni", "良品", "正常", "合格",
    ]
    /// What a folder of images that are not normal is called, where it is on its own.
    private static let anomalousNames: Set<String> = [
        "bad", "nok", "not_ok", "ng", "anomaly", "anomalies", "anomalous", "abnormal", "defect", "defects",
        "defective", "fail", "failed", "faulty", "reject", "rejected", "damaged", "broken", "ko",
        "schlecht", "nio", "n.i.o.", "fehlerhaft", "defekt", "ausschuss", "fout", "mauvais", "non_conforme",
        "non-conforme", "non_conformes", "défaut", "défauts", "malo", "malos", "defectuoso",
        "ruim", "difettoso", "scarto", "不良", "不良品", "异常", "異常", "不合格",
    ]
    private static func isNormal(_ name: String) -> Bool { normalNames.contains(name.lowercased()) }
    private static func isAnomalous(_ name: String) -> Bool { anomalousNames.contains(name.lowercased()) }

    /// What the folders of the two parts of a data set are called, in any case; the first that is there counts.
    private static let trainNames = ["train", "training"]
    private static let testNames = ["test", "testing", "val", "validation", "valid"]

    /// The folder of this one by one of these names, whatever its case; nil where there is none.
    private func part(_ names: [String]) throws -> String? {
        let own = try subfolders(of: path)
        return names.lazy.compactMap { name in
            own.contains(name) ? name : own.first { $0.lowercased() == name }
        }.first
    }

    private struct ImageClass {
        let name: String
        let folder: String
        let images: [String]
        /// Whether masks are looked for: they are named after the images of `test`.
        var hasMasks = true
    }

    /// What folders hold, and what is left out of it.
    private struct Listing {
        var account = FileAccount()

        /// The folders in a folder that hold images.
        mutating func classes(in folder: String) throws -> [ImageClass] {
            try subfolders(of: folder).compactMap { name in
                let own = try everything(in: joined(folder, name), name: name)
                return own.images.isEmpty ? nil : own
            }
        }

        /// All images in a folder and below.
        mutating func everything(
            in folder: String, name: String, leavingOut leftOut: Set<String> = []
        ) throws -> ImageClass {
            let walk = try FolderWalk(folder, leavingOut: leftOut)
            account.add(walk.account)
            for file in walk.images where relative(file, to: folder).contains("/") {
                account.add(.nested, file)
            }
            return ImageClass(name: name, folder: folder, images: walk.images)
        }

        /// The images in a folder itself.
        func direct(in folder: String) throws -> [String] {
            try folderNames(folder).filter { name in
                name.utf8.first != UInt8(ascii: ".") && ImageFormats.isReadable(name)
                    && !DrawnPicture.isName(name) && FileKind(joined(folder, name)) == .file
            }.map { joined(folder, $0) }
        }
    }

    /// The folder of masks, whatever the case of its name; nil where there is none.
    private var maskRoot: String? {
        get throws {
            let names = try subfolders(of: path)
            return MaskIndex.folders.lazy.compactMap { folder in
                let exact = joined(path, folder)
                guard !isFolder(exact) else { return exact }
                return names.first { $0.lowercased() == folder.lowercased() }.map { joined(path, $0) }
            }.first
        }
    }

    /// Loads folders of image files.
    ///
    /// - Throws: `OCCError(.badData)` where no layout is recognized.
    func images() throws -> DatasetFiles {
        var listing = Listing()
        // A class may be called Train: by another name than train, it is the training part where there is one for testing.
        if let train = try part(Self.trainNames), try train == "train" || part(Self.testNames) != nil {
            return try trainAndTest(train, &listing)
        }
        guard try categories.isEmpty else {
            throw notRecognized("A folder of several data sets is for protocol.")
        }
        // VisA as published keeps its images two folders down.
        let visa = joined(path, "Data/Images")
        let root = isFolder(visa) ? visa : path
        let masks = try maskRoot
        guard try listing.direct(in: root).isEmpty else {
            let all = try listing.everything(in: root, name: "normal", leavingOut: masks.map { [$0] } ?? [])
            return try dataset(.normalAndAnomalous, [all], train: [all], test: [], listing.account)
        }
        let found = try listing.classes(in: root).filter { own in
            guard own.folder != masks else { return false }
            // Of several folders for masks the first has them.
            let isMasks = MaskIndex.folders.contains(own.name.lowercased())
            if isMasks { listing.account.add(.unused, own.folder) }
            return !isMasks
        }
        guard let first = found.first else { throw notRecognized("", listing.account) }
        guard found.count > 1 else {
            if Self.isAnomalous(first.name) {
                listing.account.remark(
                    "warning: the images of \(first.name) are all there is, and are taken for normal ones: put normal "
                        + "images beside it, into a folder called good")
            }
            return try dataset(
                .normalAndAnomalous, [first], train: [first], test: [], listing.account)
        }
        let normals = found.filter { Self.isNormal($0.name) }
        let ordered = normals.count == 1 ? normals + found.filter { !Self.isNormal($0.name) } : found
        let others = ordered.dropFirst().map(\.name).joined(separator: ", ")
        listing.account.remark(
            "there are no folders train and test: "
                + (normals.count == 1
                    ? "\(normals[0].name) is taken for the normal class, by its name; a random fifth of it and all "
                        + "images of \(others) are for testing"
                    : "a random fifth of each class is for testing"))
        var train: [ImageClass] = [], test: [ImageClass] = []
        for (label, own) in ordered.enumerated() {
            let parts = Self.fifths(own.images, label: label)
            let isDefect = normals.count == 1 && label > 0
            train.append(ImageClass(name: own.name, folder: own.folder, images: isDefect ? [] : parts.train))
            test.append(
                ImageClass(name: own.name, folder: own.folder, images: isDefect ? own.images : parts.test))
        }
        return try dataset(
            normals.count == 1 ? .normalAndAnomalous : .oneVersusRest, ordered, train: train, test: test,
            listing.account)
    }

    /// Draws a fifth of some files for testing, by their order and a number.
    static func fifths(_ files: [String], label: Int) -> (train: [String], test: [String]) {
        var random = CounterRandom(seed: 0, stream: RandomStream.testFifth, counter: UInt64(label) << 32)
        let order = random.permutation(files.count), cut = files.count * 4 / 5
        return (order[..<cut].sorted().map { files[$0] }, order[cut...].sorted().map { files[$0] })
    }

    private func notRecognized(_ more: String, _ account: FileAccount = FileAccount()) -> OCCError {
        OCCError(
            .badData,
            account.explaining("\(path): no data set is recognized here"),
            remedy: Wording(
                "Expected: IDX or CIFAR files, train/CLASS and test/CLASS with images, or images directly. "
                    + (more.isEmpty ? "A folder of several such folders is for protocol." : more)))
    }

    private func trainAndTest(_ trainName: String, _ listing: inout Listing) throws -> DatasetFiles {
        let trainFolder = joined(path, trainName)
        let testName = try part(Self.testNames)
        let testFolder = testName.map { joined(path, $0) }
        for name in try subfolders(of: path) {
            let isMasks = MaskIndex.folders.contains(name.lowercased())
            if name != trainName, name != testName, !isMasks {
                listing.account.add(.unused, joined(path, name))
            }
        }
        for file in try listing.direct(in: path) { listing.account.add(.unused, file) }
        var train = try listing.classes(in: trainFolder)
        let loose = try listing.direct(in: trainFolder)
        if train.isEmpty, !loose.isEmpty {
            train = [try listing.everything(in: trainFolder, name: "normal")]
        } else {
            for file in loose { listing.account.add(.unused, file) }
        }
        guard !train.isEmpty else { throw notRecognized("\(trainFolder) has no images.", listing.account) }
        var test = try testFolder.map { try listing.classes(in: $0) } ?? []
        for file in try testFolder.map({ try listing.direct(in: $0) }) ?? [] {
            listing.account.add(.unused, file)
        }
        let normals = train.filter { Self.isNormal($0.name) }
        if train.count > 1, normals.count == 1,
            train.allSatisfy({ Self.isNormal($0.name) || Self.isAnomalous($0.name) })
        {
            // Nothing is learned from images that are not normal: they are for testing.
            let others = train.filter { !Self.isNormal($0.name) }
            listing.account.remark(
                "\(normals[0].name) is taken for the normal class, by its name; images of "
                    + others.map { "\(trainName)/\($0.name)" }.joined(separator: ", ") + " are for testing")
            test += others.map { own in
                ImageClass(name: own.name, folder: own.folder, images: own.images, hasMasks: false)
            }
            train = normals
        }
        guard train.count == 1 else {
            let unknown = test.filter { own in !train.contains { $0.name == own.name } }
            guard unknown.isEmpty else {
                throw OCCError(
                    .badData,
                    "\(testFolder!): has classes that train lacks: \(unknown.map(\.name).joined(separator: ", "))",
                    remedy: "Give train and test the same class folders, or train one class only.")
            }
            return try dataset(.oneVersusRest, train, train: train, test: test, listing.account)
        }
        // One class to train on: it is normal, and the rest of the test set is not.
        var normal = train[0]
        if !test.contains(where: { $0.name == normal.name }) {
            let alike = test.filter { Self.isNormal($0.name) }
            if alike.count == 1 {
                listing.account.remark("\(testName ?? "test")/\(alike[0].name) is taken for the normal class")
                normal = ImageClass(name: alike[0].name, folder: normal.folder, images: normal.images)
            }
        }
        test.sort {
            ($0.name == normal.name ? 0 : 1, $0.name, $0.folder)
                < ($1.name == normal.name ? 0 : 1, $1.name, $1.folder)
        }
        var others: [ImageClass] = []
        for own in test where own.name != normal.name && !others.contains(where: { $0.name == own.name }) {
            others.append(own)
        }
        return try dataset(
            .normalAndAnomalous, [normal] + others, train: [normal], test: test, listing.account)
    }

    private func dataset(
        _ kind: ImageDataset.Kind, _ classes: [ImageClass], train: [ImageClass], test: [ImageClass],
        _ account: FileAccount
    ) throws -> DatasetFiles {
        var account = account
        let maskRoot = try self.maskRoot
        var masks = try maskRoot.map { try MaskIndex($0) }
        func files(_ set: [ImageClass], masked: Bool) -> [LabeledFile] {
            set.flatMap { own in
                let label = classes.firstIndex { $0.name == own.name }!
                return own.images.map { path in
                    var file = LabeledFile(path: path, label: label)
                    if masked, own.hasMasks, kind == .oneVersusRest || label > 0 {
                        file.masks =
                            masks?.masks(of: relative(path, to: own.folder), in: own.name) ?? []
                    }
                    return file
                }
            }
        }
        let training = files(train, masked: false), testing = files(test, masked: true)
        if let maskRoot, kind == .normalAndAnomalous, testing.contains(where: { $0.label > 0 }),
            testing.allSatisfy({ $0.masks.isEmpty })
        {
            account.remark("warning: no defective image has a mask in \(maskRoot): pixels are not judged")
        }
        for file in masks?.unused(except: classes[0].name) ?? [] { account.add(.unusedMask, file) }
        if let masks { account.add(masks.account) }
        return DatasetFiles(
            name: name, path: path, kind: kind, classNames: classes.map(\.name), train: training,
            test: testing,
            account: account)
    }

    /// The categories of a folder that holds several data sets of normal and defective images, such as all of
    /// MVTec AD: its subfolders with a `train` folder of their own.
    var categories: [String] {
        get throws {
            let names = try subfolders(of: path)
            guard try part(Self.trainNames) == nil else { return [] }
            return try names.filter { name in
                let own = try DatasetFolder(joined(path, name))
                return try own.part(Self.trainNames).map { try !subfolders(of: joined(own.path, $0)).isEmpty }
                    ?? false
            }
        }
    }
}
