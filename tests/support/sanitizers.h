// What tests do otherwise in a build with a sanitizer.
#ifndef DATAMANAGER_TESTS_SUPPORT_SANITIZERS_H_
#define DATAMANAGER_TESTS_SUPPORT_SANITIZERS_H_

namespace datamanager::testing {

// AddressSanitizer and ThreadSanitizer map memory at any time, and UndefinedBehaviorSanitizer opens
// pipes. Each of them ends the process if it cannot, so a test must not take memory or descriptors
// away.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kNeedsMemoryAndDescriptors = true;
#elif defined(__has_feature)
inline constexpr bool kNeedsMemoryAndDescriptors =
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool kNeedsMemoryAndDescriptors = false;
#endif

// ThreadSanitizer runs a signal's handler only after the write under way. While no process reads
// the output, that write does not end, so the signal does not end the process.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool kPutsSignalsOff = true;
#elif defined(__has_feature)
inline constexpr bool kPutsSignalsOff = __has_feature(thread_sanitizer);
#else
inline constexpr bool kPutsSignalsOff = false;
#endif

// A sanitizer makes code slower. Tests multiply by this factor the time limits that would end slow
// work, such as the limit for a stalled upload.
inline constexpr int kSlowness = kNeedsMemoryAndDescriptors ? 4 : 1;

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_SANITIZERS_H_
