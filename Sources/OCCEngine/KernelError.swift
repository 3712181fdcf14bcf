import CKernels

/// A failure inside the C boundary.
public struct KernelError: Error, CustomStringConvertible, Sendable {
    package let status: ck_status
    /// What went wrong, as `ck_last_error` gives it.
    public let message: String
    /// The operation that failed, where known.
    public let operation: String?

    /// The message, after the operation's name where that is known.
    public var description: String { operation.map { "\($0): \(message)" } ?? message }
}

/// Throws the calling thread's last C error unless `status` is `CK_OK`.
@inline(__always)
package func check(_ status: ck_status, operation: @autoclosure () -> String? = nil) throws(KernelError) {
    guard status == .CK_OK else {
        throw KernelError(status: status, message: String(cString: ck_last_error()), operation: operation())
    }
}
