// Where the server keeps what it gets: a directory with an SQLite database and blobs.
//
//   DIR/ingest.db      the view `received` has a row per stored reading, binary or file
//   DIR/blobs/SHA256   the payload of a binary, the content of a file
//
// A key counts for uploads of one part, captured data and files apart. A repeat is what has the
// same key and the same content; what has a known key and other content is stored as well.
//
// The view's columns: kind ('reading', 'binary' or 'file'), part_id, component_type,
// component_name, method_name, file_name, time_requested, time_received (RFC 3339, UTC,
// nanoseconds; NULL where the client sent none, as for files), json (the payload of a reading, else
// NULL), mime_type, size (of the blob, or of the JSON text), sha256 (of the blob, else NULL), tags,
// dataset_ids (JSON arrays), upload_key (NULL without one), arrived_at. What else came lies in the
// tables: `uploads.metadata`, the serialized UploadMetadata, and `items.annotations`, JSON.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_STORE_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "ingest_server/blob_writer.h"
#include "ingest_server/database.h"
#include "viam/app/datasync/v1/data_sync.pb.h"

namespace ingest {

enum class Kind : uint8_t { kReading, kBinary, kFile };

// "reading", "binary" or "file".
std::string_view KindName(Kind kind);

// A reading, a binary or a file.
struct Item {
  Kind kind = Kind::kReading;
  std::optional<absl::Time> time_requested;
  std::optional<absl::Time> time_received;
  std::string json;         // Readings.
  Blob blob;                // Binaries and files: finished, in the store's own directory.
  std::string annotations;  // JSON; empty without any.
};

// All that one request brings.
struct Upload {
  std::string key;  // Empty without one.
  viam::app::datasync::v1::UploadMetadata metadata;
  std::vector<Item> items;
};

// The SHA-256, in hexadecimal, by which a repeat is known: of a file or a single payload it is that
// of its bytes.
std::string DigestOf(const Upload& upload);

// What became of an upload.
struct Stored {
  int64_t id = 0;            // Of a repeat, that of the first.
  std::string digest;        // See DigestOf.
  bool already = false;      // It is a repeat.
  bool key_clashes = false;  // Its key had come with other content before.
};

// A row of the view `received`; NULL is empty here.
struct Received {
  std::string kind, part_id, component_type, component_name, method_name, file_name;
  std::string time_requested, time_received, json, mime_type;
  int64_t size = 0;
  std::string sha256, tags, dataset_ids, upload_key, arrived_at;
};

// Thread-safe. Several stores, also of several processes, may have one directory open.
class IngestStore {
 public:
  // Makes the directory if it is not there.
  static absl::StatusOr<std::unique_ptr<IngestStore>> Open(const std::string& directory);

  IngestStore(const IngestStore&) = delete;
  IngestStore& operator=(const IngestStore&) = delete;

  // Starts a blob for an item that will be added.
  absl::StatusOr<std::unique_ptr<BlobWriter>> NewBlob() const;

  // Stores all of `upload` or, on error, nothing, and returns once it is on media. A repeat is not
  // stored again. Blocks on the disk; calls that meet share one transaction, hence also its
  // failure.
  absl::StatusOr<Stored> Add(const Upload& upload) DM_EXCLUDES(mutex_);

  // What was stored for that part, of that kind, with that key and that digest.
  absl::StatusOr<std::optional<Stored>> Find(std::string_view part_id, Kind kind,
                                             std::string_view key, std::string_view digest)
      DM_EXCLUDES(find_mutex_);

  // All rows of the view, in order of arrival.
  absl::StatusOr<std::vector<Received>> Rows() const;
  // How many rows of a kind a component has.
  absl::StatusOr<int64_t> Count(std::string_view component_name, Kind kind) const;

  std::string BlobPath(std::string_view sha256) const;

 private:
  struct Pending;
  struct Writer {
    Database database;
    Statement find_key;
    Statement insert_key;
    Statement insert_upload;
    Statement insert_item;
  };
  // In WAL mode it neither waits for the writer nor holds it up.
  struct Finder {
    Database database;
    Statement find_key;
  };
  IngestStore(std::string directory, Writer writer, Finder finder);

  absl::Status Write(const std::vector<Pending*>& batch);
  absl::StatusOr<Stored> Insert(const Upload& upload);

  const std::string directory_;
  Writer writer_;  // Belongs to the thread that has set `writing_`.
  datamanager::CondVar written_;

  datamanager::Mutex find_mutex_;
  Finder finder_ DM_GUARDED_BY(find_mutex_);

  datamanager::Mutex mutex_;
  bool writing_ DM_GUARDED_BY(mutex_) = false;
  std::vector<Pending*> queue_ DM_GUARDED_BY(mutex_);
};

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_STORE_H_
