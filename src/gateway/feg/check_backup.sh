# A backup that no compose reads brings nothing back: has compose check the files in "$@", with the kept .env, and lists
# their services in BACKUP/services.
masked compose --project-directory . "$@" --env-file BACKUP/.env config -q
compose --project-directory . "$@" --env-file BACKUP/.env config --services >BACKUP/services 2>/dev/null
