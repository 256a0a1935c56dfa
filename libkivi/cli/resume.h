/* Where a copy goes on: a cursor on the command line, or a file that is kept up to date. */
#ifndef CLI_RESUME_H
#define CLI_RESUME_H

#include "cli.h"

typedef struct cli_resume {
    const char *path;   /* NULL: no file */
    kivi_buffer header; /* what the file's copy is: stores and prefix */
    kivi_buffer cursor; /* where to begin; empty: at the beginning */
    int64_t saved_ms;
} cli_resume;

/* Takes the argument of --resume (NULL: none): "cursor:..." or a file, which need not exist yet. */
int cli_resume_begin(cli_resume *resume, const char *argument, const char *source,
                     const char *target, kivi_slice prefix);
/* Saves the place to the file, now and then. */
void cli_resume_note(cli_resume *resume, kivi_slice cursor, uint64_t copied);
/* After the copy: the file goes when all is done, else it holds the last place. */
int cli_resume_end(cli_resume *resume, bool done, kivi_slice cursor, uint64_t copied);
/* Appends what to say to --resume. */
void cli_resume_text(const cli_resume *resume, kivi_slice cursor, kivi_buffer *out);
void cli_resume_free(cli_resume *resume);

#endif
