// Serves the interoperability service on a free port of 127.0.0.1, which it prints, until its standard input ends.
#include <cstdio>

#include "our_server.h"

int main() {
  const multigres::interop::OurServer server;
  std::printf("%u\n", static_cast<unsigned>(server.port()));
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}
