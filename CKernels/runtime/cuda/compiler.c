// The compiler of the kernels' sources (sources.c), and the cache of what it made. A cache file is named
// after the SHA-256 of all that its content depends on, and holds magic, the content's own digest, and the
// content: a torn or altered file is noticed, and compiled anew. Files are written beside and renamed into
// place, so processes that start together do not disturb each other.
#define _GNU_SOURCE
#include "cuda.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = "occ-gpu1";  // the last character counts the format

// ---- The compiler -----------------------------------------------------------------------------------------

static ck_status compile(const ck_cuda_driver *d, ck_kernel_source source, const char *const *options,
                         int count, uint8_t **cubin, uint64_t *bytes, char **log) {
    ck_nvrtc_program program = NULL;
    *cubin = NULL;
    if (d->program_create(&program, ck_kernel_sources[source].text, ck_kernel_sources[source].name,
                          CK_HEADER_COUNT, ck_kernel_header_texts, ck_kernel_header_names) != 0)
        return ck_fail(CK_INTERNAL_ERROR, "libnvrtc could not take %s", ck_kernel_sources[source].name);
    ck_cu_result result = d->program_compile(program, count, options);
    size_t size = 0;
    char *text = d->program_log_size(program, &size) == 0 ? calloc(1, size + 1) : NULL;
    if (text) d->program_log(program, text);
    ck_status status = CK_OK;
    if (result != 0) {
        status = ck_fail(CK_INTERNAL_ERROR, "libnvrtc could not compile %s with %s (error %d): %.300s",
                         ck_kernel_sources[source].name, options[0], result, text ? text : "");
    } else if (d->program_cubin_size(program, &size) != 0 || size == 0 || !(*cubin = malloc(size)) ||
               d->program_cubin(program, (char *)*cubin) != 0) {
        free(*cubin);
        status = ck_fail(CK_INTERNAL_ERROR, "libnvrtc gave no machine code for %s with %s",
                         ck_kernel_sources[source].name, options[0]);
    }
    *bytes = size;
    if (log && status == CK_OK)
        *log = text;
    else
        free(text);
    d->program_destroy(&program);
    return status;
}

// ---- The cache --------------------------------------------------------------------------------------------

int ck_cuda_cache_folder(const ck_cuda_driver *driver, char *path, size_t size) {
    const char *own = driver->cache_folder, *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int length = own             ? snprintf(path, size, "%s", own)
                 : xdg && *xdg   ? snprintf(path, size, "%s/occ-gpu/kernels", xdg)
                 : home && *home ? snprintf(path, size, "%s/.cache/occ-gpu/kernels", home)
                                 : -1;
    return length > 0 && length < (int)size;
}

static int make_folders(const char *path) {
    char part[1024];
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part) return 0;
    for (char *at = part + 1; *at; at++)
        if (*at == '/') {
            *at = 0;
            if (mkdir(part, 0777) != 0 && errno != EEXIST) return 0;
            *at = '/';
        }
    return mkdir(part, 0777) == 0 || errno == EEXIST;
}

// Appends text and its end to what the name is the digest of.
static void add(char **at, const char *text) { at[0] = stpcpy(at[0], text) + 1; }

static int cache_path(char *path, size_t size, const char *folder, const ck_cuda_driver *d,
                      ck_kernel_source source, const char *const *options, int count) {
    size_t room = strlen(ck_kernel_sources[source].text) + 4096;
    for (int i = 0; i < CK_HEADER_COUNT; i++)
        room += strlen(ck_kernel_header_texts[i]) + strlen(ck_kernel_header_names[i]) + 2;
    char *all = malloc(room), *at = all, version[64];
    if (!all) return 0;
    snprintf(version, sizeof version, "nvrtc %d", d->libraries[CK_LIBRARY_nvrtc].version);
    add(&at, version);
    for (int i = 0; i < count; i++) add(&at, options[i]);
    add(&at, ck_kernel_sources[source].text);
    for (int i = 0; i < CK_HEADER_COUNT; i++)
        add(&at, ck_kernel_header_names[i]), add(&at, ck_kernel_header_texts[i]);
    uint8_t digest[32];
    ck_sha256(all, (uint64_t)(at - all), digest);
    free(all);
    char hex[65];
    for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return snprintf(path, size, "%s/%s.cubin", folder, hex) < (int)size;
}

enum { HEADER = sizeof magic + 32 };

// The content of a cache file, or NULL where it is absent or not whole.
static uint8_t *read_cache(const char *path, uint64_t *bytes) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    uint8_t *content = NULL, header[HEADER], digest[32];
    struct stat info;
    if (fstat(fileno(file), &info) == 0 && info.st_size > HEADER &&
        fread(header, 1, HEADER, file) == HEADER && memcmp(header, magic, sizeof magic) == 0) {
        *bytes = (uint64_t)info.st_size - HEADER;
        content = malloc(*bytes);
        if (content && fread(content, 1, *bytes, file) == *bytes) {
            ck_sha256(content, *bytes, digest);
            if (memcmp(digest, header + sizeof magic, 32) == 0) {
                fclose(file);
                return content;
            }
        }
    }
    free(content);
    fclose(file);
    return NULL;
}

// A cache that cannot be written is done without: the kernels are compiled again next time.
static int write_cache(const char *folder, const char *path, const uint8_t *content, uint64_t bytes) {
    char temporary[1200];
    if (!make_folders(folder) ||
        snprintf(temporary, sizeof temporary, "%s/XXXXXX", folder) >= (int)sizeof temporary)
        return 0;
    int descriptor = mkstemp(temporary);
    if (descriptor < 0) return 0;
    FILE *file = fdopen(descriptor, "wb");
    if (!file) {
        close(descriptor);
        unlink(temporary);
        return 0;
    }
    uint8_t digest[32];
    ck_sha256(content, bytes, digest);
    int good = fwrite(magic, 1, sizeof magic, file) == sizeof magic && fwrite(digest, 1, 32, file) == 32 &&
               fwrite(content, 1, bytes, file) == bytes && fchmod(descriptor, 0644) == 0;
    good = fclose(file) == 0 && good && rename(temporary, path) == 0;
    if (!good) unlink(temporary);
    return good;
}

enum { OPTIONS = 2 };

static void write_target(char *to, size_t size, ck_kernel_source source, int architecture) {
    snprintf(to, size, "--gpu-architecture=sm_%d%s", architecture,
             ck_source_architecture(source) == architecture ? "a" : "");
}

ck_status ck_cuda_compile(const ck_cuda_driver *driver, ck_kernel_source source, int architecture,
                          const char *folder, uint8_t **cubin, uint64_t *bytes) {
    char target[64], path[1200], own[1024];
    write_target(target, sizeof target, source, architecture);
    const char *options[OPTIONS] = {target, "--std=c++17"};
    if (!folder && ck_cuda_cache_folder(driver, own, sizeof own)) folder = own;
    int cached = folder && cache_path(path, sizeof path, folder, driver, source, options, OPTIONS);
    *cubin = cached ? read_cache(path, bytes) : NULL;
    if (*cubin) return CK_OK;
    CK_TRY(compile(driver, source, options, OPTIONS, cubin, bytes, NULL));
    if (cached) write_cache(folder, path, *cubin, *bytes);
    return CK_OK;
}

// ---- Compiling everything ---------------------------------------------------------------------------------

// Whether machine code (an ELF file) defines a function of this name.
static int defines(const uint8_t *cubin, uint64_t bytes, const char *name) {
    Elf64_Ehdr header;
    if (bytes < SELFMAG || memcmp(cubin, ELFMAG, SELFMAG) != 0)  // the emulation's: a list of names
        return memmem(cubin, bytes, name, strlen(name)) != NULL;
    if (bytes < sizeof header) return 0;
    memcpy(&header, cubin, sizeof header);
    if (header.e_shoff > bytes || (uint64_t)header.e_shnum * sizeof(Elf64_Shdr) > bytes - header.e_shoff)
        return 0;
    for (int i = 0; i < header.e_shnum; i++) {
        Elf64_Shdr table, strings;
        memcpy(&table, cubin + header.e_shoff + (uint64_t)i * sizeof table, sizeof table);
        if (table.sh_type != SHT_SYMTAB || table.sh_link >= header.e_shnum || table.sh_offset > bytes ||
            table.sh_size > bytes - table.sh_offset)
            continue;
        memcpy(&strings, cubin + header.e_shoff + (uint64_t)table.sh_link * sizeof strings, sizeof strings);
        if (strings.sh_offset > bytes || strings.sh_size > bytes - strings.sh_offset) continue;
        for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= table.sh_size; at += sizeof(Elf64_Sym)) {
            Elf64_Sym symbol;
            memcpy(&symbol, cubin + table.sh_offset + at, sizeof symbol);
            if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_name >= strings.sh_size) continue;
            const char *found = (const char *)cubin + strings.sh_offset + symbol.st_name;
            if (strncmp(found, name, strings.sh_size - symbol.st_name) == 0) return 1;
        }
    }
    return 0;
}

// The number before `word` in a line of text, or -1.
static int number_before(const char *line, const char *end, const char *word) {
    const char *at = memmem(line, (size_t)(end - line), word, strlen(word));
    if (!at) return -1;
    while (at > line && at[-1] == ' ') at--;
    while (at > line && at[-1] >= '0' && at[-1] <= '9') at--;
    return atoi(at);
}

// Reads a kernel's lines in ptxas' report.
static void read_report(const char *log, ck_cuda_kernel_report *report) {
    report->registers = report->spill_bytes = report->shared_bytes = -1;
    char heading[256];
    snprintf(heading, sizeof heading, "Compiling entry function '%s'", report->kernel);
    const char *at = log ? strstr(log, heading) : NULL;
    if (!at) return;
    at += strlen(heading);
    const char *end = strstr(at, "Compiling entry function");
    if (!end) end = at + strlen(at);
    for (const char *line = at; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        if (!stop) stop = end;
        int registers = number_before(line, stop, " registers"),
            stores = number_before(line, stop, " bytes spill stores");
        int loads = number_before(line, stop, " bytes spill loads"),
            memory = number_before(line, stop, " bytes smem");
        if (registers >= 0) report->registers = registers, report->shared_bytes = memory < 0 ? 0 : memory;
        if (stores >= 0 && loads >= 0) report->spill_bytes = stores + loads;
        line = stop + 1;
    }
}

ck_status ck_cuda_build_kernels(const ck_cuda_driver *driver, int architecture, const char *folder,
                                void (*report)(void *context, const ck_cuda_kernel_report *kernel),
                                void *context) {
    if (driver->libraries[CK_LIBRARY_nvrtc].reason[0])
        return ck_fail(CK_DEVICE_UNAVAILABLE, "%s", driver->libraries[CK_LIBRARY_nvrtc].reason);
    char target[64], own[1024], path[1200];
    const char *options[OPTIONS + 1] = {target, "--std=c++17", "--ptxas-options=-v"};
    if (!folder) {
        if (!ck_cuda_cache_folder(driver, own, sizeof own))
            return ck_fail(CK_INVALID_ARGUMENT, "there is no cache folder: HOME is not set");
        folder = own;
    }
    for (int source = 0; source < CK_SOURCE_COUNT; source++) {
        int only = ck_source_architecture((ck_kernel_source)source);
        if (only && only != architecture) continue;
        write_target(target, sizeof target, (ck_kernel_source)source, architecture);
        uint8_t *cubin = NULL;
        uint64_t bytes = 0;
        char *log = NULL;
        CK_TRY(compile(driver, (ck_kernel_source)source, options, OPTIONS + 1, &cubin, &bytes, &log));
        ck_status status = CK_OK;
        for (int k = 0; k < CK_KERNEL_COUNT && status == CK_OK; k++) {
            if ((int)ck_kernel_entries[k].source != source) continue;
            ck_cuda_kernel_report kernel = {ck_kernel_sources[source].name, ck_kernel_entries[k].name, -1, -1,
                                            -1};
            if (!defines(cubin, bytes, kernel.kernel))
                status = ck_fail(CK_INTERNAL_ERROR, "%s has no kernel %s", kernel.module, kernel.kernel);
            read_report(log, &kernel);
            if (report && status == CK_OK) report(context, &kernel);
        }
        // The name's digest is that of the options a run uses: the report changes nothing in the code.
        if (status == CK_OK &&
            (!cache_path(path, sizeof path, folder, driver, (ck_kernel_source)source, options, OPTIONS) ||
             !write_cache(folder, path, cubin, bytes)))
            status = ck_fail(CK_INVALID_ARGUMENT, "%s: cannot be written: %s", folder, strerror(errno));
        free(cubin);
        free(log);
        if (status != CK_OK) return status;
    }
    return CK_OK;
}
