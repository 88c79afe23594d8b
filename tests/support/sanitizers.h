// What a test cannot do in a build with a sanitizer.
#ifndef DATAMANAGER_TESTS_SUPPORT_SANITIZERS_H_
#define DATAMANAGER_TESTS_SUPPORT_SANITIZERS_H_

namespace datamanager::testing {

// AddressSanitizer and ThreadSanitizer map memory and UndefinedBehaviorSanitizer opens pipes at any
// time, and each ends the process when it cannot: a test must not take either away.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kNeedsMemoryAndDescriptors = true;
#elif defined(__has_feature)
inline constexpr bool kNeedsMemoryAndDescriptors =
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool kNeedsMemoryAndDescriptors = false;
#endif

// ThreadSanitizer puts a signal off while its thread is in a write, so that no handler ends a
// process whose output nobody reads.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool kPutsSignalsOff = true;
#elif defined(__has_feature)
inline constexpr bool kPutsSignalsOff = __has_feature(thread_sanitizer);
#else
inline constexpr bool kPutsSignalsOff = false;
#endif

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_SANITIZERS_H_
