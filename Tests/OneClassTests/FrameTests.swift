import OCCData
import OCCEngine
import OCCNetworks
import OneClass
import TestSupport
import Testing

/// Images that come from no file are seen as those of files are.
@Suite struct FrameTests {
    @Test(arguments: Fit.allCases) func framesAreFittedAsFilesAre(_ fit: Fit) throws {
        var c = RunConfiguration()
        (c.imageSize, c.steps, c.batch, c.detectorRows, c.fit) = (32, 0, 4, 40, fit)
        (c.encoder, c.head) = (ResNet(.resnet10, width: 0.1), [])
        var options = OneClassSplit.Options()
        (options.maxTrain, options.maxTest) = (20, 4)
        let split = try OneClassSplit(ImageDataset.load("builtin:shapes"), normal: nil, options: options)
        let model = try OneClassModel.fit(split, configuration: c)
        let pixels = namedUniforms("frame", 50 * 40 * 3).map { UInt8(256 * $0) }
        let frame = RGBImage(width: 50, height: 40, pixels: pixels)
        let folder = try TemporaryFolder()
        try folder.write(Array("P6 50 40 255\n".utf8) + pixels, to: "frame.ppm")
        let loaded = try loadImages([folder.file("frame.ppm")], model.imageLoading)[0].get()
        #expect(model.fitted(frame).pixels == loaded)
        #expect(try model.score(frame) == model.score(ImageBatch(side: 32, pixels: loaded))[0])
    }
}
