/* What a disk has after the power went: interposes fsync and fdatasync.
 *
 * A file's content is durable as of its last sync, a folder's names as of the folder's. Each sync
 * of something below POWERLOSS_WATCH copies that state into POWERLOSS_SHADOW, by inode; the test
 * builds from there what a restart would find. At its sync numbered POWERLOSS_DIES_AT a process
 * ends instead: whatever was written since the syncs before is lost. Where POWERLOSS_ARMED names a
 * file, syncs count from when it is there.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void give_up(const char *what) {
    perror(what);
    abort();
}

static FILE *shadow(const char *kind, ino_t inode, char *partial, char *whole) {
    const char *folder = getenv("POWERLOSS_SHADOW");
    if (!folder) give_up("POWERLOSS_SHADOW");
    snprintf(whole, PATH_MAX, "%s/%s-%llu", folder, kind, (unsigned long long)inode);
    snprintf(partial, PATH_MAX, "%s/partial-%d", folder, (int)getpid());
    FILE *file = fopen(partial, "we");
    if (!file) give_up(partial);
    return file;
}

static void keep_folder(const char *path, ino_t inode) {
    char partial[PATH_MAX], whole[PATH_MAX];
    DIR *names = opendir(path);
    if (!names) give_up(path);
    FILE *file = shadow("folder", inode, partial, whole);
    for (struct dirent *each; (each = readdir(names));)
        if (strcmp(each->d_name, ".") && strcmp(each->d_name, ".."))
            fprintf(file, "%llu %d %s\n", (unsigned long long)each->d_ino,
                    each->d_type == DT_DIR, each->d_name);
    closedir(names);
    if (fclose(file) || rename(partial, whole)) give_up(whole);
}

static void keep_file(const char *path, ino_t inode) {
    char partial[PATH_MAX], whole[PATH_MAX], block[1 << 16];
    int from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0) give_up(path);
    FILE *file = shadow("file", inode, partial, whole);
    for (ssize_t got; (got = read(from, block, sizeof block)) > 0;)
        if (fwrite(block, 1, (size_t)got, file) != (size_t)got) give_up(partial);
    close(from);
    if (fclose(file) || rename(partial, whole)) give_up(whole);
}

static void synced(int fd) {
    static int count;
    const char *watch = getenv("POWERLOSS_WATCH"), *dies = getenv("POWERLOSS_DIES_AT");
    char link[64], path[PATH_MAX];
    struct stat status;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (!watch || length < 0 || fstat(fd, &status)) return;
    path[length] = 0;
    if (strncmp(path, watch, strlen(watch))) return;
    const char *armed = getenv("POWERLOSS_ARMED");
    if (dies && (!armed || !access(armed, F_OK)) && ++count == atoi(dies)) kill(getpid(), SIGKILL);
    if (S_ISDIR(status.st_mode))
        keep_folder(path, status.st_ino);
    else
        /* By the descriptor: the name may be gone. Opened anew, so that its place is its own. */
        keep_file(link, status.st_ino);
}

int fsync(int fd) {
    synced(fd);
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}

int fdatasync(int fd) {
    synced(fd);
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
