import CKernels

/// The SHA-256 digest of bytes, as 64 hexadecimal digits (FIPS 180-4).
package func sha256(_ bytes: some Sequence<UInt8>) -> String {
    let message = Array(bytes)
    var digest = [UInt8](repeating: 0, count: 32)
    ck_sha256(message, UInt64(message.count), &digest)
    return digest.map { byte in
        let text = String(byte, radix: 16)
        return text.count == 1 ? "0" + text : text
    }.joined()
}
