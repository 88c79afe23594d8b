// An uploader whose calls are functions that block, each on a thread of its own.
#ifndef DATAMANAGER_TESTS_SUPPORT_BLOCKING_UPLOADER_H_
#define DATAMANAGER_TESTS_SUPPORT_BLOCKING_UPLOADER_H_

#include <atomic>
#include <cassert>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "uploader/uploader.h"

namespace datamanager::testing {

class BlockingStream {
 public:
  virtual ~BlockingStream() = default;
  virtual bool Write(std::string message) = 0;
  virtual sync::CallResult Finish() = 0;
};

class BlockingUploader : public sync::Uploader {
 public:
  // As sync::CallQueue, but they block until the end.
  virtual sync::CallResult Unary(sync::UploadMethod method, std::string request,
                                 const sync::CallOptions& options) = 0;
  virtual std::unique_ptr<BlockingStream> OpenStream(sync::UploadMethod method,
                                                     const sync::CallOptions& options) = 0;

  // So many calls wait because the link is full, beside those of the test.
  void SetWaiting(int calls) { waiting_ = calls; }
  // How often it was asked for that.
  int asked() const { return asked_; }

  std::unique_ptr<sync::CallQueue> NewQueue() override { return std::make_unique<Queue>(*this); }

 private:
  // Runs functions that block, and then tells the queue's thread.
  class Queue final : public sync::CallQueue {
   public:
    explicit Queue(BlockingUploader& uploader) : uploader_(uploader) {}
    ~Queue() override { assert(under_way_ == 0); }

    void Unary(sync::UploadMethod method, std::string request, sync::CallOptions options,
               std::function<void(sync::CallResult)> done) override {
      Run<sync::CallResult>(
          [this, method, request = std::move(request), options = std::move(options)]() mutable {
            return uploader_.Unary(method, std::move(request), options);
          },
          std::move(done));
    }
    std::unique_ptr<sync::UploadStream> OpenStream(sync::UploadMethod method,
                                                   sync::CallOptions options) override {
      return std::make_unique<Stream>(*this, uploader_.OpenStream(method, options));
    }

    sync::UploadSizes Sizes() const override {
      ++uploader_.asked_;
      return {.waiting = uploader_.waiting_};
    }

    void Yield(std::function<void()> done) override {
      MutexLock lock(mutex_);
      ++under_way_;
      ended_.push_back(std::move(done));
    }

    bool RunOne(MonotonicTime deadline) override {
      std::function<void()> ended;
      {
        MutexLock lock(mutex_);
        changed_.WaitUntil(mutex_, deadline, [this] {
          mutex_.AssertHeld();
          return woken_ || !ended_.empty();
        });
        if (ended_.empty()) {
          woken_ = false;
          return false;
        }
        ended = std::move(ended_.front());
        ended_.pop_front();
        --under_way_;
      }
      ended();
      return true;
    }
    void Wake() override {
      MutexLock lock(mutex_);
      woken_ = true;
      changed_.NotifyAll();
    }

    template <typename Result>
    void Run(std::function<Result()> call, std::function<void(Result)> done) {
      {
        MutexLock lock(mutex_);
        ++under_way_;
      }
      auto thread = std::make_shared<std::thread>();
      // The thread is joined by who is told, so that none is left when the queue is gone.
      auto result = std::make_shared<Result>();
      const auto ended = [thread, result, done = std::move(done)] {
        thread->join();
        done(std::move(*result));
      };
      *thread = std::thread([this, call = std::move(call), result, ended] {
        *result = call();
        MutexLock lock(mutex_);
        ended_.push_back(ended);
        changed_.NotifyAll();
      });
    }

   private:
    BlockingUploader& uploader_;
    Mutex mutex_;
    CondVar changed_;
    int under_way_ DM_GUARDED_BY(mutex_) = 0;
    bool woken_ DM_GUARDED_BY(mutex_) = false;
    std::deque<std::function<void()>> ended_ DM_GUARDED_BY(mutex_);
  };

  class Stream final : public sync::UploadStream {
   public:
    Stream(Queue& queue, std::unique_ptr<BlockingStream> stream)
        : queue_(queue), stream_(std::move(stream)) {}

    void Write(std::string message, std::function<void(bool)> done) override {
      queue_.Run<bool>(
          [stream = stream_.get(), message = std::move(message)]() mutable {
            return stream->Write(std::move(message));
          },
          std::move(done));
    }
    void Finish(std::function<void(sync::CallResult)> done) override {
      queue_.Run<sync::CallResult>([stream = stream_.get()] { return stream->Finish(); },
                                   std::move(done));
    }

   private:
    Queue& queue_;
    const std::unique_ptr<BlockingStream> stream_;
  };

  std::atomic<int> waiting_ = 0;
  std::atomic<int> asked_ = 0;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_BLOCKING_UPLOADER_H_
