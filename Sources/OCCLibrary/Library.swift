import COCC
import OneClass
import Synchronization

// The functions of occ.h, which documents them.

/// A loaded model behind an `occ_model` pointer, used by one call at a time.
private final class Handle: Sendable {
    let model: Mutex<OneClassModel>

    init(_ model: sending OneClassModel) { self.model = Mutex(model) }

    /// The handle that a pointer of `occ_model_load` stands for.
    static func at(_ pointer: OpaquePointer?) throws -> Handle {
        guard let pointer else { throw wrong("the model is NULL") }
        return Unmanaged<Handle>.fromOpaque(UnsafeRawPointer(pointer)).takeUnretainedValue()
    }
}

private func wrong(_ problem: Wording) -> OCCError { OCCError(.usage, problem, remedy: "See occ.h.") }

/// Runs what can fail; its status, and its words for `occ_last_error`.
private func status(_ body: () throws -> Void) -> Int32 {
    do {
        try body()
        return 0
    } catch {
        let known = error as? OCCError
        occ_set_last_error(known?.description ?? "\(error)")
        return known?.kind.rawValue ?? OCCError.Kind.failure.rawValue
    }
}

/// The image that the arguments of a call describe.
private func image(_ pixels: UnsafePointer<UInt8>?, _ width: Int32, _ height: Int32, _ stride: Int64) throws
    -> RGBImage
{
    guard let pixels else { throw wrong("pixels is NULL") }
    let limit: Int32 = 1 << 16
    guard (1...limit).contains(width), (1...limit).contains(height) else {
        throw wrong("an image of \(width) x \(height) pixels; each side is 1 to \(limit)")
    }
    let line = Int(width) * 3
    guard stride >= line else { throw wrong("stride \(stride): a row of \(width) pixels has \(line) bytes") }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(line * Int(height))
    for row in 0..<Int(height) {
        bytes += UnsafeBufferPointer(start: pixels + row * Int(stride), count: line)
    }
    return RGBImage(width: Int(width), height: Int(height), pixels: bytes)
}

/// A structure that the library fills, as far as its caller has it: its first member says how far.
private protocol Filled {
    var size: Int { get set }
    /// The bytes of its first version, which every caller has.
    static var leastSize: Int { get }
}

extension occ_info: Filled {
    fileprivate static var leastSize: Int {
        MemoryLayout<occ_info>.offset(of: \.map_threshold)! + MemoryLayout<Double>.size
    }
}

extension occ_result: Filled {
    fileprivate static var leastSize: Int {
        MemoryLayout<occ_result>.offset(of: \.alarm)! + MemoryLayout<Int32>.size
    }
}

/// A caller's structure, of which no more is touched than its size.
private struct Place<Structure: Filled> {
    private let pointer: UnsafeMutablePointer<Structure>
    private let size: UInt

    /// - Throws: `OCCError(.usage)` for NULL, and for a size that no version has.
    init(_ pointer: UnsafeMutablePointer<Structure>?, _ name: String) throws {
        guard let pointer else { throw wrong("\(name) is NULL") }
        size = UnsafeRawPointer(pointer).load(as: UInt.self)
        guard size >= Structure.leastSize else {
            throw wrong(
                "\(name)->size is \(size); it is to be sizeof(\(Structure.self)), which is "
                    + "\(MemoryLayout<Structure>.stride) here")
        }
        self.pointer = pointer
    }

    /// Fills it to its end, or to that of this version.
    func fill(_ value: Structure) {
        let filled = Int(min(size, UInt(MemoryLayout<Structure>.stride)))
        var whole = value
        whole.size = filled
        withUnsafeBytes(of: whole) {
            UnsafeMutableRawPointer(pointer).copyMemory(
                from: $0.baseAddress!, byteCount: min(filled, $0.count))
        }
    }
}

private func result(_ score: Double, of model: OneClassModel) -> occ_result {
    occ_result(
        size: 0, score: score, p_value: model.calibration.pValue(score) ?? .nan,
        alarm: model.calibration.isAlarm(score).map { $0 ? 1 : 0 } ?? -1)
}

/// Loads a model: see occ.h.
@_cdecl("occ_model_load")
public func occModelLoad(
    _ path: UnsafePointer<CChar>?, _ device: UnsafePointer<CChar>?,
    _ model: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
    model?.pointee = nil
    return status {
        guard let path, let model else { throw wrong("path or model is NULL") }
        let name = String(cString: path)
        let file = FileKind(name)?.isFolder == true ? "\(name)/model.safetensors" : name
        let chosen = try Device.choose(device.map { String(cString: $0) } ?? "cpu")
        let handle = Handle(try OneClassModel.load(file, device: chosen))
        model.pointee = OpaquePointer(Unmanaged.passRetained(handle).toOpaque())
    }
}

/// Frees a model: see occ.h.
@_cdecl("occ_model_free")
public func occModelFree(_ model: OpaquePointer?) {
    guard let model else { return }
    Unmanaged<Handle>.fromOpaque(UnsafeRawPointer(model)).release()
}

/// Says what a model takes and gives: see occ.h.
@_cdecl("occ_model_info")
public func occModelInfo(_ model: OpaquePointer?, _ info: UnsafeMutablePointer<occ_info>?) -> Int32 {
    status {
        let place = try Place(info, "info")
        let found = try Handle.at(model).model.withLock { model in
            occ_info(
                size: 0, side: Int32(model.side), has_map: model.localizes ? 1 : 0,
                has_threshold: model.calibration.threshold == nil ? 0 : 1,
                threshold: model.calibration.threshold ?? .nan,
                map_threshold: (model.localizes ? model.mapCalibration.threshold : nil) ?? .nan)
        }
        place.fill(found)
    }
}

/// Scores an image: see occ.h.
@_cdecl("occ_score")
public func occScore(
    _ model: OpaquePointer?, _ pixels: UnsafePointer<UInt8>?, _ width: Int32, _ height: Int32,
    _ stride: Int64, _ found: UnsafeMutablePointer<occ_result>?
) -> Int32 {
    status {
        let place = try Place(found, "result")
        let frame = try image(pixels, width, height, stride)
        let own = try Handle.at(model).model.withLock { model in result(try model.score(frame), of: model) }
        place.fill(own)
    }
}

/// Scores an image and its pixels: see occ.h.
@_cdecl("occ_localize")
public func occLocalize(
    _ model: OpaquePointer?, _ pixels: UnsafePointer<UInt8>?, _ width: Int32, _ height: Int32,
    _ stride: Int64, _ map: UnsafeMutablePointer<Float>?, _ count: Int,
    _ found: UnsafeMutablePointer<occ_result>?
) -> Int32 {
    status {
        let place = try Place(found, "result")
        guard let map else { throw wrong("map is NULL") }
        let frame = try image(pixels, width, height, stride)
        let (values, own) = try Handle.at(model).model.withLock { model in
            let localized = try model.localize(model.fitted(frame))[0]
            return (localized.map, result(localized.score, of: model))
        }
        guard count >= values.count else {
            throw wrong("map has room for \(count) floats; it takes \(values.count)")
        }
        map.update(from: values, count: values.count)
        place.fill(own)
    }
}
