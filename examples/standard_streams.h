// Opens the standard streams of a program that was started without some of them.
#ifndef DATAMANAGER_EXAMPLES_STANDARD_STREAMS_H_
#define DATAMANAGER_EXAMPLES_STANDARD_STREAMS_H_

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

// Opens /dev/null in the place of each standard stream that is closed, so that no file or socket
// gets its number and receives what the program prints. Call it first in main().
//
// A library may have taken such a number before main(), as gRPC does for an eventfd. Its type shows
// that, because no shell hands out a descriptor that belongs to no file. The program is then
// executed again, with the streams in place.
inline void OpenClosedStandardStreams(char** argv) {
  bool taken = false;
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) {
      // The lowest free number is this one.
      static_cast<void>(::open("/dev/null", O_RDWR));
    } else if ((info.st_mode & S_IFMT) == 0) {
      const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
      static_cast<void>(::dup2(null, fd));
      taken = true;
    }
  }
  if (taken) ::execv("/proc/self/exe", argv);
}

#endif  // DATAMANAGER_EXAMPLES_STANDARD_STREAMS_H_
