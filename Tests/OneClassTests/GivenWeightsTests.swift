import Foundation
import OCCData
import OCCEngine
import OCCNetworks
import OneClass
import TestSupport
import Testing

/// Weights that come from elsewhere: torchvision's names and shapes, its features, and what does not fit.
@Suite struct GivenWeightsTests {
    private static let encoder = ResNet(.resnet10, stem: .large, normalize: .imagenet)

    /// The parameters of an encoder in PyTorch's shapes, without its constants.
    private static func shapes(_ encoder: any Encoder) throws -> [String: [Int]] {
        let program = Program(device: try .cpu(), math: .strict)
        _ = try program.add("encoder", .inference) { plan in
            let images = try plan.input("images", [1, 64, 64, 3], type: .float32)
            plan.keep(try encoder(images, in: plan).pooled)
        }
        var result: [String: [Int]] = [:]
        for parameter in program.layout.parameters where !parameter.name.hasPrefix("normalize.") {
            let s = parameter.tensor.shape
            result[parameter.name] = s.count == 4 ? [s[0], s[3], s[1], s[2]] : s
        }
        return result
    }

    @Test(arguments: ["resnet18", "resnet34", "resnet50", "wide-resnet50-2"])
    func networksAreThoseOfTorchvision(_ name: String) throws {
        let bytes = try readFile(fixturePath("torchvision-shapes.json"))
        let theirs = try JSONDecoder().decode([String: [String: [Int]]].self, from: Data(bytes))
        var encoder = try Encoders.registry.entry(name)
        #expect(try encoder.set(name: "stem", text: "large"))
        #expect(try Self.shapes(encoder) == theirs[name])
    }

    /// The formula of the fixture's script.
    private static func values(_ name: String, _ shape: [Int]) -> [Float] {
        let u = namedUniforms(name, shape.reduce(1, *))
        if name.hasSuffix("running_mean") { return u.map { _ in 0 } }
        if name.hasSuffix("running_var") { return u.map { _ in 1 } }
        if shape.count > 1 {
            let limit = (6 / Double(shape.dropFirst().reduce(1, *))).squareRoot()
            return u.map { Float((2 * $0 - 1) * limit) }
        }
        return u.map { Float(name.hasSuffix("weight") ? 0.5 + $0 : 0.2 * ($0 - 0.5)) }
    }

    private static func file(prefix: String = "") throws -> TensorFile {
        var file = TensorFile()
        for (name, shape) in try shapes(encoder) {
            file.tensors[prefix + name] = .init(values(name, shape), shape: shape)
        }
        // What every such file has beside the encoder.
        file.tensors[prefix + "fc.weight"] = .init([Float](repeating: 0, count: 1024), shape: [2, 512])
        file.tensors[prefix + "fc.bias"] = .init([Float](repeating: 0, count: 2), shape: [2])
        return file
    }

    private static func configuration(_ path: String) -> RunConfiguration {
        var c = RunConfiguration()
        c.encoder = encoder
        c.weights = path
        c.steps = 0
        c.batch = 2
        return c
    }

    private static var images: ImageBatch {
        ImageBatch(side: 64, pixels: namedUniforms("pixels", 2 * 64 * 64 * 3).map { UInt8(256 * $0) })
    }

    @Test(arguments: ["", "module.backbone."])
    func featuresAreThoseOfTorchvision(_ prefix: String) throws {
        let folder = try TemporaryFolder(), path = folder.file("weights.safetensors")
        try Self.file(prefix: prefix).write(to: path)
        let trainer = try Trainer(
            configuration: Self.configuration(path), images: Self.images, device: try .cpu())
        let found = try trainer.features(of: Self.images).values.map(Double.init)
        let fixture = try TensorFile(contentsOf: fixturePath("given-weights.safetensors"))
        let theirs = try #require(fixture.tensors["features"]?.floats).map(Double.init)
        let failure = difference(found, theirs, tolerance: 1e-4)
        #expect(failure == nil, "\(failure ?? "")")
    }

    @Test func whatDoesNotFitIsListed() throws {
        let folder = try TemporaryFolder(), path = folder.file("weights.safetensors")
        func error(_ change: (inout TensorFile) -> Void) throws -> OCCError? {
            var file = try Self.file()
            change(&file)
            try file.write(to: path)
            return #expect(throws: OCCError.self) {
                try Trainer(configuration: Self.configuration(path), images: Self.images, device: try .cpu())
            }
        }
        let missing = try error { $0.tensors["layer2.0.bn1.bias"] = nil }
        #expect(missing?.message.contains("missing: layer2.0.bn1.bias") == true)
        let shaped = try error { $0.tensors["bn1.bias"] = .init([1, 2] as [Float], shape: [2]) }
        #expect(shaped?.message.contains("bn1.bias is [2], not [64]") == true)
        // A deeper network's blocks are not left out in silence.
        let deeper = try error { $0.tensors["layer2.1.bn1.bias"] = .init([1, 2] as [Float], shape: [2]) }
        #expect(deeper?.message.contains("not of the encoder: layer2.1.bn1.bias") == true)
        let typed = try error {
            $0.tensors["bn1.bias"] = .init([Double](repeating: 0, count: 64), shape: [64])
        }
        #expect(
            typed?.message.contains("BF16: bn1.bias is F64") == true && typed?.remedy?.contains("F32") == true
        )
        // What no network that works has is named as it is in the file.
        for (name, value, word) in [
            ("bn1.bias", Float.nan, "finite; the first is nan"), ("bn1.running_var", -1, "variance"),
        ] {
            let wrong = try error {
                $0.tensors[name] = .init([Float](repeating: 1, count: 63) + [value], shape: [64])
            }
            #expect(
                wrong?.message.contains("tensor \(name) has values that") == true, "\(wrong?.message ?? "")")
            #expect(wrong?.message.contains(word) == true && wrong?.remedy != nil)
        }
        try AtomicFile.write(Array("PK no tensors".utf8), to: path)
        let other = #expect(throws: OCCError.self) {
            try Trainer(configuration: Self.configuration(path), images: Self.images, device: try .cpu())
        }
        #expect(other?.kind == .badData && other?.message.contains(path) == true)
        let nowhere = #expect(throws: OCCError.self) {
            try Trainer(
                configuration: Self.configuration(folder.file("none")), images: Self.images,
                device: try .cpu())
        }
        #expect(nowhere?.kind == .noInput)
    }

    /// Weights of 16 bits give the features of the floats that they stand for.
    @Test(arguments: [TensorFile.ElementType.float16, .bfloat16])
    func halvesAreRead(_ type: TensorFile.ElementType) throws {
        let folder = try TemporaryFolder()
        var short = try Self.file(), rounded = short
        for (name, entry) in short.tensors {
            // The upper 16 bits of a float, or with 8 bits of its exponent fewer, 13 of its fraction.
            let floats = try #require(entry.floats).map { value -> Float in
                let bits = value.bitPattern
                guard type == .float16 else { return Float(bitPattern: bits & 0xFFFF_0000) }
                return abs(value) < 0x1p-14 ? 0 : Float(bitPattern: bits & ~0x1FFF)
            }
            rounded.tensors[name] = .init(floats, shape: entry.shape)
            short.tensors[name] = TensorFile.Entry(
                type,
                floats.map { value in
                    let bits = value.bitPattern
                    guard type == .float16 else { return UInt16(bits >> 16) }
                    let sign = UInt16(bits >> 31) << 15
                    return value == 0
                        ? sign : sign | UInt16((bits >> 23 & 0xFF) - 112) << 10 | UInt16(bits >> 13 & 0x3FF)
                }, shape: entry.shape)
        }
        var found: [[Float]] = []
        for (name, file) in [("short", short), ("rounded", rounded)] {
            let path = folder.file("\(name).safetensors")
            try file.write(to: path)
            let trainer = try Trainer(
                configuration: Self.configuration(path), images: Self.images, device: try .cpu())
            found.append(try trainer.features(of: Self.images).values)
        }
        #expect(found[0] == found[1] && found[0].contains { $0 != 0 })
    }

    /// An encoder of fewer stages takes what it has of the file.
    @Test func laterStagesAreLeftOut() throws {
        let folder = try TemporaryFolder(), path = folder.file("weights.safetensors")
        try Self.file().write(to: path)
        var c = Self.configuration(path)
        c.encoder = ResNet(.resnet10, padding: .none, stages: 1, stem: .large, normalize: .imagenet)
        let trainer = try Trainer(configuration: c, images: Self.images, device: try .cpu())
        #expect(try trainer.features(of: Self.images).columns == 64)
    }
}
