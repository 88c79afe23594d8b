// Included before everything else in builds with ThreadSanitizer, where Protobuf is used.
//
// Under it, Protobuf's map_field.h gives maps two more members. The distribution's library was
// built without, and would take a Struct apart at the wrong offsets.
#if defined(__SANITIZE_THREAD__)
// All that map_field.h includes, so that nothing but itself is read with the macro undefined.
#include <google/protobuf/arena.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/generated_message_reflection.h>
#include <google/protobuf/generated_message_util.h>
#include <google/protobuf/map_entry.h>
#include <google/protobuf/map_field_lite.h>
#include <google/protobuf/map_type_handler.h>
#include <google/protobuf/message.h>
#include <google/protobuf/repeated_field.h>
#include <google/protobuf/unknown_field_set.h>

#include <atomic>
#include <functional>

#undef __SANITIZE_THREAD__
#include <google/protobuf/map_field.h>
#define __SANITIZE_THREAD__ 1
#endif
