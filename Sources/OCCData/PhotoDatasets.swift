import OCCEngine

/// Data sets of photographs with layouts of their own.
extension DatasetFolder {
    private func files(in folder: String) throws -> (images: [String], account: FileAccount) {
        guard isFolder(folder) else { return ([], FileAccount()) }
        let walk = try FolderWalk(folder)
        return (walk.images, walk.account)
    }

    // MARK: Cats and dogs

    /// Loads Kaggle's dogs-vs-cats (`train/cat.0.jpg`, `train/dog.0.jpg`, ...) or Microsoft's
    /// (`PetImages/Cat/0.jpg`, ...); nil when the folder is neither. Of each class a random four fifths are
    /// for training, as the 10,000 of 12,500 of Sohn et al.; images are cut to their central square.
    func catsAndDogs() throws -> DatasetFiles? {
        let classes = ["cat", "dog"]
        var found: [[String]] = [], account = FileAccount()
        for root in [path, joined(path, "PetImages")] where found.isEmpty {
            let folders = try ["Cat", "Dog"].map { try files(in: joined(root, $0)) }
            if folders.allSatisfy({ !$0.images.isEmpty }) {
                found = folders.map(\.images)
                for folder in folders { account.add(folder.account) }
            }
        }
        if found.isEmpty {
            let all = try files(in: joined(path, "train"))
            found = classes.map { name in all.images.filter { fileName($0).hasPrefix("\(name).") } }
            guard found.allSatisfy({ !$0.isEmpty }) else { return nil }
            account = all.account
            let names = Set(found.joined())
            for file in all.images where !names.contains(file) { account.add(.unused, file) }
            if isFolder(joined(path, "test")) {
                account.remark(
                    "test has no labels and was not used; a random fifth of each class is for testing")
            }
        }
        var train: [LabeledFile] = [], test = train
        for (label, own) in found.enumerated() {
            let parts = Self.fifths(own, label: label)
            train += parts.train.map { LabeledFile(path: $0, label: label) }
            test += parts.test.map { LabeledFile(path: $0, label: label) }
        }
        return DatasetFiles(
            name: "Cat-vs-Dog", path: path, kind: .oneVersusRest, classNames: classes, train: train,
            test: test,
            account: account, prepare: \.centralSquare, isOfPhotographs: true)
    }

    // MARK: CelebA

    /// Loads CelebA with faces without eyeglasses as the normal class; nil when the folder is not it: images in
    /// `img_align_celeba` (in a folder of that name once more, as Kaggle packs them), and `list_attr_celeba` and
    /// `list_eval_partition` as .txt or .csv. Faces are cut to 158 x 158 as in Sohn et al.; the validation
    /// images are not used.
    func celebA() throws -> DatasetFiles? {
        func table(_ name: String) throws -> (path: String, lines: [[Substring]])? {
            guard
                let path = ["txt", "csv"].map({ joined(path, "\(name).\($0)") }).first(where: {
                    FileKind($0) == .file
                })
            else { return nil }
            let text = String(decoding: try readFile(path), as: UTF8.self)
            let lines = text.split(whereSeparator: \.isNewline).map { line in
                line.split { $0 == "," || $0.isWhitespace || $0 == "\u{FEFF}" }
            }
            return (path, lines.filter { !$0.isEmpty })
        }
        let folder = joined(path, "img_align_celeba"), inner = joined(folder, "img_align_celeba")
        guard isFolder(folder), let attributes = try table("list_attr_celeba") else { return nil }
        let images = isFolder(inner) ? inner : folder
        func fail(_ file: String, _ why: String) -> OCCError {
            OCCError(.badData, "\(file): \(why)", remedy: "Download the file again.")
        }
        guard let parts = try table("list_eval_partition") else {
            throw OCCError(
                .noInput, "\(path): has no list_eval_partition.txt or .csv",
                remedy: "Put CelebA's partition file there.")
        }
        // The names of the attributes are a line of their own, after one with a count or the word image_id.
        guard let header = attributes.lines.firstIndex(where: { $0.contains("Eyeglasses") }) else {
            throw fail(attributes.path, "names no attribute Eyeglasses")
        }
        let names = attributes.lines[header].drop { $0 == "image_id" }
        let column = names.firstIndex(of: "Eyeglasses")! - names.startIndex
        var partition: [Substring: Substring] = [:]
        for line in parts.lines where line[0] != "image_id" {
            guard line.count == 2 else { throw fail(parts.path, "a line has not two fields") }
            partition[line[0]] = line[1]
        }
        var train: [LabeledFile] = [], test = train
        for line in attributes.lines[(header + 1)...] {
            guard line.count == names.count + 1, let part = partition[line[0]] else {
                throw fail(
                    attributes.path, "the line of \(line[0]) is malformed or in no partition (\(parts.path))")
            }
            let file = LabeledFile(
                path: joined(images, String(line[0])), label: line[column + 1] == "1" ? 1 : 0)
            if part == "0", file.label == 0 { train.append(file) }
            if part == "2" { test.append(file) }
        }
        return DatasetFiles(
            name: "CelebA", path: path, kind: .normalAndAnomalous,
            classNames: ["no eyeglasses", "eyeglasses"],
            train: train, test: test, account: FileAccount(),
            prepare: { image in
                guard image.width >= 40, image.height >= 80 else { return image.centralSquare }
                return image.cropped(top: 40, left: 10, height: image.height - 60, width: image.width - 20)
            }, isOfPhotographs: true)
    }
}
