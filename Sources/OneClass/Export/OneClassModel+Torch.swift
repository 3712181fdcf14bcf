import OCCEngine

extension OneClassModel {
    /// Writes the model for PyTorch into a folder: the module `occ_model.py`, which takes torch and safetensors, and the
    /// arrays that it loads, `occ_model.safetensors`.
    ///
    /// The module's function `load` gives a `torch.nn.Module` that takes images, uint8 [N,H,W,3] in RGB, and gives
    /// `features`, float [N P,D] for P patches of an image, and by the names of `onnx` what an ONNX file gives.
    ///
    /// - Returns: the files' paths.
    /// - Throws: `OCCError(.usage)` naming an operation or a detector that cannot be exported;
    ///   `OCCError(.cannotCreate)` or `.inputOutput` where the files cannot be written.
    @discardableResult
    public func writeTorch(to folder: String) throws -> [String] {
        guard !(configuration.detector is OwnScore) else {
            throw OCCError(
                .usage,
                "\(name): scores by \(configuration.method.name) itself, which is not written for PyTorch",
                remedy: "Export it to ONNX, or train with another \(setting: "detector"), such as kde.")
        }
        let module = try TorchModule(self)
        try createFolder(folder, remedy: "Choose another folder.")
        let stem = "\(folder)/\(TorchModule.name)"
        // The arrays first: a module that is there finds them.
        let arrays = TensorFile(metadata: try metadata(), tensors: module.arrays)
        try arrays.write(to: "\(stem).safetensors")
        try AtomicFile.write(Array(module.text.utf8), to: "\(stem).py")
        return ["\(stem).py", "\(stem).safetensors"]
    }
}
