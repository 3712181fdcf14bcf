/// The SHA-256 digest of bytes, as 64 hexadecimal digits (FIPS 180-4).
public func sha256(_ bytes: some Sequence<UInt8>) -> String {
    var message = Array(bytes)
    let bits = UInt64(message.count) * 8
    message.append(0x80)
    message += [UInt8](repeating: 0, count: (120 - message.count % 64) % 64)
    message += (0..<8).map { UInt8(truncatingIfNeeded: bits >> (56 - 8 * $0)) }

    /// The first 32 bits of the fractional part of a root of a prime.
    func fraction(_ prime: Int, cube: Bool) -> UInt32 {
        // The largest r with r^2 <= p 2^64 (or r^3 <= p 2^96), found bit by bit in 128 bits.
        var root: UInt128 = 0
        for bit in stride(from: 36, through: 0, by: -1) {
            let next = root | 1 << UInt128(bit)
            let power = cube ? next * next * next : next * next
            if power <= UInt128(prime) << (cube ? 96 : 64) { root = next }
        }
        return UInt32(truncatingIfNeeded: root)
    }
    var primes: [Int] = [], candidate = 2
    while primes.count < 64 {
        if primes.allSatisfy({ candidate % $0 != 0 }) { primes.append(candidate) }
        candidate += 1
    }
    let constants = primes.map { fraction($0, cube: true) }
    var state = primes.prefix(8).map { fraction($0, cube: false) }

    func turned(_ x: UInt32, _ n: UInt32) -> UInt32 { x >> n | x << (32 - n) }
    var w = [UInt32](repeating: 0, count: 64)
    for block in stride(from: 0, to: message.count, by: 64) {
        for t in 0..<16 {
            w[t] = (0..<4).reduce(0) { $0 << 8 | UInt32(message[block + 4 * t + $1]) }
        }
        for t in 16..<64 {
            let a = turned(w[t - 15], 7) ^ turned(w[t - 15], 18) ^ w[t - 15] >> 3
            let b = turned(w[t - 2], 17) ^ turned(w[t - 2], 19) ^ w[t - 2] >> 10
            w[t] = w[t - 16] &+ a &+ w[t - 7] &+ b
        }
        var s = state
        for t in 0..<64 {
            let mixed = turned(s[4], 6) ^ turned(s[4], 11) ^ turned(s[4], 25)
            let choice = s[4] & s[5] ^ ~s[4] & s[6]
            let first = s[7] &+ mixed &+ choice &+ constants[t] &+ w[t]
            let spread = turned(s[0], 2) ^ turned(s[0], 13) ^ turned(s[0], 22)
            let majority = s[0] & s[1] ^ s[0] & s[2] ^ s[1] & s[2]
            s = [first &+ spread &+ majority, s[0], s[1], s[2], s[3] &+ first, s[4], s[5], s[6]]
        }
        for i in 0..<8 { state[i] = state[i] &+ s[i] }
    }
    return state.map { word in
        let text = String(word, radix: 16)
        return String(repeating: "0", count: 8 - text.count) + text
    }.joined()
}
