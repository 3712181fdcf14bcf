import OCCData

extension OneClassModel {
    /// An image of any size as the model takes it: resized as image files are.
    ///
    /// - Returns: one image of `side` x `side` pixels.
    public func fitted(_ frame: RGBImage) -> ImageBatch {
        ImageBatch(side: side, pixels: frame.resized(to: side, fit: configuration.fit).pixels)
    }

    /// Scores an image of any size, seen at the model's; higher is more anomalous.
    public func score(_ frame: RGBImage) throws -> Double { try score(fitted(frame))[0] }
}
